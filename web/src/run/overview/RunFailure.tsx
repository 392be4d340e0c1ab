/** Why a run failed: the step, the attempt, the message, what to do as buttons, and what depended on it. */
import { useQuery } from "@tanstack/react-query";

import type { RunView } from "../../api/types";
import { hasEnded } from "../../api/types";
import { detailQuery } from "../run_data";
import type { Selection } from "../selection";
import type { RunError } from "../types";
import { ErrorNotice } from "../step/ErrorNotice";
import { LoopItems } from "../step/LoopItems";
import { StepLink } from "./Overview";

export function RunFailure({ run, selection }: { run: RunView; selection: Selection }) {
  const error = run.error as RunError;
  const step = error.step ?? "";
  return (
    <section className="stack tight">
      {step !== "" && (
        <div className="row wrap">
          <h2>
            {run.failed_on_purpose ? "Failed on purpose at" : "Failed at"} <StepLink path={step} selection={selection} />
          </h2>
          {(error.attempt ?? 0) > 1 && <span className="muted">in attempt {error.attempt}</span>}
        </div>
      )}
      <ErrorNotice run={run} error={error} step={step} />
      {step !== "" && <LoopItems runId={run.run_id} path={step} />}
      {step !== "" && <Dependents run={run} step={step} selection={selection} />}
    </section>
  );
}

function Dependents({ run, step, selection }: { run: RunView; step: string; selection: Selection }) {
  const detail = useQuery(detailQuery(run.run_id, step));
  const needed = detail.data?.needed_by ?? [];
  if (needed.length === 0 || !hasEnded(run)) {
    return null;
  }
  return (
    <p className="muted">
      Not reached because of it:{" "}
      {needed.slice(0, 8).map((path, index) => (
        <span key={path}>
          {index > 0 && ", "}
          <StepLink path={path} selection={selection} />
        </span>
      ))}
      {needed.length > 8 && ` and ${needed.length - 8} more`}
    </p>
  );
}
