/** The attempts of a step: when each was made, what it waited for, and how it ended. */
import { duration, exactTime, money } from "../../shared/format";
import { Prose } from "../../shared/Prose";
import { StateIcon, type AnyState } from "../../shared/State";
import { Time } from "../../shared/Time";
import type { Attempt, StepDetail } from "../types";

const KNOWN = new Set(["pending", "running", "succeeded", "failed", "waiting", "paused", "cancelled", "interrupted", "skipped"]);

export function AttemptsTab({ detail }: { detail: StepDetail }) {
  if (detail.attempts.length === 0) {
    return <p className="muted">It has not been attempted.</p>;
  }
  return (
    <ol className="plain attempts">
      {detail.attempts.map((attempt, index) => (
        <li key={index} className={attempt.forgotten ? "forgotten" : undefined}>
          <AttemptLine attempt={attempt} isUndone={detail.row.reason === "undone"} />
        </li>
      ))}
    </ol>
  );
}

function AttemptLine({ attempt, isUndone }: { attempt: Attempt; isUndone: boolean }) {
  const message = (attempt.error as { message?: string } | null)?.message;
  const code = (attempt.error as { code?: string } | null)?.code;
  return (
    <>
      <div className="row wrap">
        <StateIcon state={(KNOWN.has(attempt.state) ? attempt.state : "pending") as AnyState} />
        <strong>Attempt {Math.max(1, attempt.number)}</strong>
        <span className={`state ${attempt.state}`}>{attempt.state}</span>
        {attempt.started_at !== null && (
          <span className="muted" title={exactTime(attempt.started_at)}>
            <Time at={attempt.started_at} />
          </span>
        )}
        {attempt.started_at !== null && attempt.ended_at !== null && (
          <span className="muted">took {duration(attempt.ended_at - attempt.started_at)}</span>
        )}
        {attempt.model_calls > 0 && attempt.cost !== null && <span className="muted">{money(attempt.cost)}</span>}
        {attempt.forgotten && <span className="chip">{droppedWords(attempt, isUndone)}</span>}
      </div>
      {message !== undefined && (
        <div>
          <Prose text={message} /> {code && <code className="muted">{code}</code>}
        </div>
      )}
      {attempt.waits.map((wait) => (
        <div key={wait.since} className="muted small">
          waited for {wait.reason === "human" ? "a person" : wait.reason}
          {wait.until !== null && <>, {duration(wait.until - wait.since)}</>}
        </div>
      ))}
      {attempt.answered_at !== null && (
        <div className="muted small">
          answered <Time at={attempt.answered_at} />
          {attempt.answered_by !== "" && <> by {attempt.answered_by}</>}
        </div>
      )}
      {attempt.until !== null && attempt.state === "failed" && (
        <div className="muted small">
          {attempt.ended_at === null ? <Time at={attempt.until} /> : <>next attempt after {duration(attempt.until - attempt.ended_at)}</>}
        </div>
      )}
      {attempt.cached !== null && <div className="muted small">from the cache: run {String(attempt.cached["run_id"])}</div>}
    </>
  );
}

/** Why the result of an attempt does not count any more. */
function droppedWords(attempt: Attempt, isUndone: boolean): string {
  if (attempt.forgotten_by !== "") {
    return `dropped later by ${attempt.forgotten_by}`;
  }
  return isUndone ? "undone later" : "dropped later";
}
