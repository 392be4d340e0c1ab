/** An error as it is recorded, with what can be done about it as buttons. */
import { CirclePlay, KeyRound, RotateCcw } from "lucide-react";
import { useState } from "react";

import { useMay } from "../../api/queries";
import { hasEnded, type RunView } from "../../api/types";
import { budgetOf, budgetWords, ResumeDialog, RetryDialog } from "../actions/dialogs";
import { EditDialog } from "../actions/EditDialog";
import { Prose } from "../../shared/Prose";
import type { RecordedRemedy, RunError } from "../types";

type Asked = { kind: "resume"; budget?: string | undefined } | { kind: "retry"; step: string } | { kind: "edit" };

export function ErrorNotice({ run, error, step }: { run: RunView; error: RunError; step: string }) {
  const mayRun = useMay("run");
  const mayEdit = useMay("admin");
  const [asked, ask] = useState<Asked | null>(null);
  const remedies = error.remedies ?? [];
  const close = (): void => ask(null);
  const resume = remedies.find((each) => each.kind === "resume" && !each.edited);
  const edited = remedies.some((each) => each.kind === "resume" && each.edited);
  const input = remedies.find((each) => each.kind === "give_input");
  const budget = budgetOf(resume?.budget);
  const onPurpose = run.failed_on_purpose;
  const canRetry = hasEnded(run) || run.state === "paused" || run.state === "interrupted";
  return (
    <div className="notice failed" role="alert">
      <div className="grow stack tight">
        <div className="error-message">
          <Prose text={error.message ?? error.type ?? "It failed."} /> {error.code && <code className="muted">{error.code}</code>}
        </div>
        {error.help && (
          <div className="muted">
            <Prose text={error.help} />
          </div>
        )}
        {onPurpose && (
          <div className="muted">
            It failed on purpose, by a step with <code>fail</code>: resumed, it would fail again. Fork it with other inputs, or edit the
            pipeline.
          </div>
        )}
        {remedies.filter((each) => !isButton(each)).length > 0 && <Commands remedies={remedies.filter((each) => !isButton(each))} />}
        {mayRun && (
          <div className="row wrap">
            {run.resumable && (
              <button type="button" className="button primary" onClick={() => ask({ kind: "resume", budget: resume?.budget })}>
                {input === undefined ? <CirclePlay size={14} aria-hidden /> : <KeyRound size={14} aria-hidden />}
                {input !== undefined ? `Give ${String(input.name)}` : budget !== undefined ? `Resume with ${budgetWords(budget)}` : "Resume"}
              </button>
            )}
            {(edited || onPurpose) && mayEdit && canRetry && (
              <button type="button" className="button" onClick={() => ask({ kind: "edit" })}>
                Edit and resume
              </button>
            )}
            {step !== "" && canRetry && !onPurpose && (
              <button type="button" className="button" onClick={() => ask({ kind: "retry", step })}>
                <RotateCcw size={14} aria-hidden /> Retry this step
              </button>
            )}
          </div>
        )}
      </div>
      {asked?.kind === "resume" && <ResumeDialog run={run} onClose={close} budget={budgetOf(asked.budget)} />}
      {asked?.kind === "retry" && <RetryDialog run={run} step={asked.step} onClose={close} />}
      {asked?.kind === "edit" && <EditDialog run={run} onClose={close} />}
    </div>
  );
}

function isButton(remedy: RecordedRemedy): boolean {
  return remedy.kind === "resume" || remedy.kind === "retry_step" || remedy.kind === "give_input" || remedy.kind === "show_run";
}

/** Remedies that only the machine of the server can carry out. */
function Commands({ remedies }: { remedies: RecordedRemedy[] }) {
  return (
    <ul className="plain small">
      {remedies.map((remedy) => (
        <li key={JSON.stringify(remedy)}>
          {remedy.kind.replaceAll("_", " ")}{" "}
          <code>
            {Object.entries(remedy)
              .filter(([name]) => name !== "kind" && name !== "run_id")
              .map(([, value]) => String(value))
              .join(" ")}
          </code>
        </li>
      ))}
    </ul>
  );
}
