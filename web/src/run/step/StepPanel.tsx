/** The selected step: its result, why it failed, what it was given, what was said, and how it went. */
import { useQuery } from "@tanstack/react-query";
import { GitFork, RotateCcw, X } from "lucide-react";
import { useState } from "react";
import { Link } from "wouter";

import { useMay } from "../../api/queries";
import { hasEnded, type RunView } from "../../api/types";
import { QuestionForm } from "../../forms/QuestionForm";
import { isRecord } from "../../forms/schema";
import { isOpen } from "../../questions/open_questions";
import { runAddress } from "../../shared/address";
import { cost, count } from "../../shared/format";
import { ProblemNotice } from "../../shared/ProblemNotice";
import { StateBadge, stepWords, waitWords } from "../../shared/State";
import { Time } from "../../shared/Time";
import { ForkDialog, RetryDialog } from "../actions/dialogs";
import { CopyButton } from "../CopyButton";
import { usePartial } from "../feed";
import { By } from "../RunHeader";
import { detailQuery } from "../run_data";
import { failedStep, useShownState } from "../run_state";
import { around, type Selection, type Tab, TABS } from "../selection";
import { Took } from "../tree/StepTable";
import type { RunError, StepDetail, StepRow } from "../types";
import { AttemptsTab } from "./AttemptsTab";
import { ErrorNotice } from "./ErrorNotice";
import { InputTab } from "./InputTab";
import { LoopItems } from "./LoopItems";
import { LogTab } from "./LogTab";
import { MessagesTab } from "./MessagesTab";
import { ResultTab } from "./ResultTab";
import { WhyTab } from "./WhyTab";

const WORDS: Record<Tab, string> = {
  result: "Result",
  error: "Error",
  input: "Input",
  messages: "Messages",
  log: "Log",
  why: "Why",
  attempts: "Attempts",
};

export function StepPanel({ run, selection }: { run: RunView; selection: Selection }) {
  const path = selection.step;
  const detail = useQuery(detailQuery(run.run_id, path));
  const question = run.active.find((step) => step.path === path && isOpen(step));
  const text = usePartial(path);
  const writing = text !== "";
  if (detail.data === undefined) {
    return (
      <div className="side-body">
        <Head path={path} selection={selection} run={run} />
        {detail.isError && <ProblemNotice error={detail.error} />}
      </div>
    );
  }
  const error = errorOf(run, detail.data);
  const tab = selection.tab !== "" ? selection.tab : firstTab(detail.data, error, writing);
  return (
    <div className="step-panel">
      <div className="side-body step-head">
        <Head path={path} selection={selection} run={run} detail={detail.data} />
        {question !== undefined && (
          <div className="panel panel-body">
            <QuestionForm runId={run.run_id} step={question} />
          </div>
        )}
      </div>
      <div className="tabs" role="tablist" aria-label="About the step">
        {TABS.filter((each) => each !== "error" || error !== null || tab === "error").map((each) => (
          <button
            key={each}
            type="button"
            role="tab"
            id={`tab-${each}`}
            aria-selected={each === tab}
            aria-controls="tab-panel"
            onClick={() => selection.change({ tab: each })}
          >
            {WORDS[each]}
            {each === "attempts" && detail.data.attempts.length > 1 && <span className="muted"> {detail.data.attempts.length}</span>}
          </button>
        ))}
      </div>
      <div className="side-body" role="tabpanel" id="tab-panel" aria-labelledby={`tab-${tab}`}>
        <Shown tab={tab} run={run} detail={detail.data} error={error} selection={selection} />
      </div>
    </div>
  );
}

/** Returns why the step failed; of a step that counts as not run because what it depends on was undone, why the run did. */
function errorOf(run: RunView, { row }: StepDetail): RunError | null {
  const found = row.error ?? (row.state === "pending" && row.path === failedStep(run) ? run.error : null);
  return found as RunError | null;
}

function firstTab({ row }: StepDetail, error: RunError | null, writing: boolean): Tab {
  if (error !== null && (row.state === "failed" || row.state === "pending")) {
    return "error";
  }
  return writing ? "messages" : "result";
}

function Shown({ tab, run, detail, error, selection }: { tab: Tab; run: RunView; detail: StepDetail; error: RunError | null; selection: Selection }) {
  const path = detail.row.path;
  switch (tab) {
    case "error":
      return error === null ? (
        <p className="muted">The step has not failed.</p>
      ) : (
        <>
          <ErrorNotice run={run} error={error} step={path} />
          <LoopItems runId={run.run_id} path={path} />
          {detail.needed_by.length > 0 && (
            <p className="muted">
              Needed by{" "}
              {detail.needed_by.map((other, index) => (
                <span key={other}>
                  {index > 0 && ", "}
                  <button type="button" className="link mono" onClick={() => selection.change({ step: other, tab: "" })}>
                    {other}
                  </button>
                </span>
              ))}
            </p>
          )}
          <Traceback detail={detail} />
        </>
      );
    case "input":
      return <InputTab runId={run.run_id} detail={detail} />;
    case "messages":
      return <MessagesTab runId={run.run_id} path={path} selection={selection} />;
    case "log":
      return <LogTab runId={run.run_id} path={path} />;
    case "why":
      return <WhyTab runId={run.run_id} path={path} />;
    case "attempts":
      return <AttemptsTab detail={detail} />;
    default:
      return <ResultTab runId={run.run_id} detail={detail} selection={selection} />;
  }
}

/** Who answered the question of the step. */
function Answered({ detail }: { detail: StepDetail }) {
  const attempt = detail.attempts.findLast((each) => each.answered_at !== null);
  if (attempt === undefined || attempt.answered_at === null) {
    return null;
  }
  const approved = isRecord(detail.output) ? detail.output["approved"] : undefined;
  const word = approved === true ? "approved" : approved === false ? "rejected" : "answered";
  return (
    <span>
      {word} <Time at={attempt.answered_at} />
      <By name={attempt.answered_by} />
    </span>
  );
}

function StepState({ row }: { row: StepRow }) {
  const state = useShownState(row);
  return row.state === "waiting" ? (
    <span className="row">
      <StateBadge state="waiting" text={waitWords(row.reason)} waitsFor={row.reason} />
      {row.until !== null && row.reason !== "human" && <Time at={row.until} />}
    </span>
  ) : (
    <StateBadge state={state} text={stepWords(state, row.reason)} waitsFor={row.reason} />
  );
}

function Traceback({ detail }: { detail: StepDetail }) {
  const found = [...detail.attempts].reverse().find((attempt) => attempt.traceback !== "")?.traceback;
  return found === undefined ? null : (
    <details>
      <summary>Traceback</summary>
      <pre className="traceback">{found}</pre>
    </details>
  );
}

function Head({ path, selection, run, detail }: { path: string; selection: Selection; run: RunView; detail?: StepDetail }) {
  const mayRun = useMay("run");
  const [asked, ask] = useState<"retry" | "fork" | null>(null);
  const outer = around(path);
  const row = detail?.row;
  const canRetry = hasEnded(run) || run.state === "paused" || run.state === "interrupted";
  const hasRun = row !== undefined && row.state !== "pending" && row.kind !== "finally" && row.kind !== "handler";
  const tokens = row === undefined ? 0 : row.usage.input + row.usage.output;
  return (
    <div className="stack tight">
      {outer.length > 0 && (
        <nav aria-label="Inside of" className="crumbs truncate">
          {outer.map((each) => (
            <span key={each}>
              <button type="button" className="link mono" onClick={() => selection.change({ step: each, tab: "" })}>
                {each.slice(each.lastIndexOf(".") + 1)}
              </button>
              <span className="muted"> / </span>
            </span>
          ))}
        </nav>
      )}
      <div className="row">
        <h2 className="truncate">{row?.name || path.slice(path.lastIndexOf(".") + 1)}</h2>
        <CopyButton text={() => path} what="the path of the step" />
        <span className="grow" />
        {mayRun && canRetry && hasRun && (
          <button type="button" className="button" onClick={() => ask("retry")}>
            <RotateCcw size={14} aria-hidden /> Retry
          </button>
        )}
        {mayRun && hasRun && (
          <button type="button" className="button" onClick={() => ask("fork")}>
            <GitFork size={14} aria-hidden /> Fork from here
          </button>
        )}
        <button type="button" className="button quiet icon" aria-label="Close the step" onClick={() => selection.change({ step: "", tab: "" })}>
          <X size={14} aria-hidden />
        </button>
      </div>
      {row !== undefined && (
        <div className="row wrap muted step-facts">
          <StepState row={row} />
          <Took row={row} />
          {row.what && <span>{row.what}</span>}
          {tokens > 0 && (
            <span>
              {count(row.usage.input)} tokens in, {count(row.usage.output)} out
            </span>
          )}
          {cost(row) && <span>{cost(row)}</span>}
          {row.cached && <span>from the cache</span>}
          {row.run && (
            <span>
              started run{" "}
              <Link href={runAddress(row.run)} className="mono">
                {row.run}
              </Link>
            </span>
          )}
          {detail !== undefined && <Answered detail={detail} />}
        </div>
      )}
      {detail?.warnings.map((warning) => (
        <p key={warning} className="state waiting warning">
          {warning}
        </p>
      ))}
      {asked === "retry" && <RetryDialog run={run} step={path} onClose={() => ask(null)} />}
      {asked === "fork" && <ForkDialog run={run} step={path} onClose={() => ask(null)} />}
    </div>
  );
}
