/** The state of a run in words that say what it waits for: it is not running while it waits for a time or a person. */
import type { RunView } from "../api/types";
import { type AnyState, StateBadge } from "./State";

interface Shown {
  state: AnyState;
  text: string;
  waitsFor: string;
}

/** `brief`: in one word, for a list. */
export function RunBadge({ run, brief = false }: { run: RunView; brief?: boolean }) {
  const { state, text, waitsFor } = shownOf(run);
  const isOneWord = !text.includes(" ");
  return <StateBadge state={state} text={brief && state === run.state && !isOneWord ? state : text} waitsFor={waitsFor} />;
}

/** Whether the working time of a run goes on: it does not while a run waits until it may begin. */
export function isWorking(run: RunView): boolean {
  return run.state === "running";
}

const UNDOING = "undoing";

function shownOf(run: RunView): Shown {
  if (run.state === "queued") {
    return { state: "queued", text: run.not_before !== null ? "scheduled" : "queued", waitsFor: "time" };
  }
  if (waitsForTime(run)) {
    return { state: "waiting", text: "waiting for a time", waitsFor: "time" };
  }
  if (run.compensating && run.state === "running") {
    return { state: "running", text: UNDOING, waitsFor: "human" };
  }
  const asks = run.active.filter((step) => step.question !== null && !step.answered).length;
  if (run.state === "waiting" && asks > 0) {
    return { state: "waiting", text: asks === 1 ? "waiting for an answer" : `waiting for ${asks} answers`, waitsFor: "human" };
  }
  const asked = run.active.some((step) => step.question !== null);
  return { state: run.state, text: run.failed_on_purpose ? "failed on purpose" : run.state, waitsFor: asked ? "human" : "time" };
}

/** Whether all that is left to do for now is to wait for a time. */
function waitsForTime(run: RunView): boolean {
  const steps = run.active.filter((step) => step.kind === "");
  return run.state === "running" && steps.length > 0 && steps.every((step) => step.waiting_on === "time");
}
