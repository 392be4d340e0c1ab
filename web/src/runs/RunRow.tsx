/** A run, and a batch, as one row of the list. */
import { Link } from "wouter";

import { type BatchView, hasEnded, type RunView } from "../api/types";
import { runAddress } from "../shared/address";
import { cost, count, duration, money, plural } from "../shared/format";
import { Prose } from "../shared/Prose";
import { isWorking, RunBadge } from "../shared/RunBadge";
import { StateBadge } from "../shared/State";
import { Elapsed, Time } from "../shared/Time";
import { StatesBar } from "./StatesBar";

interface RowProps {
  index: number;
  isCurrent: boolean;
}

export function RunRow({
  run,
  labels,
  number,
  index,
  isCurrent,
  isSelected,
  onSelect,
  onLabel,
}: RowProps & {
  run: RunView;
  labels: string[];
  /** Which row of a batch it is. */
  number: number | undefined;
  isSelected: boolean;
  onSelect: ((run: RunView) => void) | null;
  onLabel: (label: string) => void;
}) {
  const title = run.name || run.pipeline;
  return (
    <div role="row" aria-rowindex={index + 2} className="run-row" data-current={isCurrent} data-selected={isSelected}>
      <span role="cell" className="cell-select">
        {onSelect !== null && (
          <input type="checkbox" checked={isSelected} aria-label={`Select ${title} ${run.run_id}`} onChange={() => onSelect(run)} />
        )}
      </span>
      <span role="cell" className="cell-state">
        <RunBadge run={run} brief />
      </span>
      <span role="cell" className="cell-name">
        <Link href={runAddress(run.run_id)} className="row-link truncate" id={`row-${index}`}>
          {title}
        </Link>
        {number !== undefined && <span className="run-number">row {count(number)}</span>}
        <code className="muted run-id">{run.run_id}</code>
        {labels.map((label) => (
          <button key={label} type="button" className="chip" title={`Only runs labelled ${label}`} onClick={() => onLabel(label)}>
            {label}
          </button>
        ))}
      </span>
      <span role="cell" className="cell-note truncate">
        <Note run={run} />
      </span>
      <span role="cell" className="cell-progress">
        {!hasEnded(run) && run.total > 0 && (
          <>
            <span
              className="bar"
              role="progressbar"
              aria-label="Progress"
              aria-valuenow={Math.round(run.progress * 100)}
              aria-valuemin={0}
              aria-valuemax={100}
            >
              <span className={run.state} style={{ width: `${run.progress * 100}%` }} />
            </span>
            <span className="muted small">{Math.round(run.progress * 100)}%</span>
          </>
        )}
      </span>
      <span role="cell" className="cell-cost number">
        {cost(run)}
      </span>
      <span role="cell" className="cell-elapsed number">
        <Elapsed id={run.run_id} measured={run.elapsed} running={isWorking(run)} />
      </span>
      <span role="cell" className="cell-time number muted">
        <Time at={run.created_at} />
      </span>
    </div>
  );
}

/** What somebody who looks at the list wants to know of a run next. */
function Note({ run }: { run: RunView }) {
  if (run.damage !== "") {
    return <span className="state failed">damaged: {run.damage}</span>;
  }
  if (run.state === "failed") {
    const message = String(run.error?.["message"] ?? "");
    return (
      <span title={message}>
        <Prose text={message} />
      </span>
    );
  }
  if (run.state === "cancelled") {
    return <span className="muted">{run.reason}</span>;
  }
  if (run.state === "interrupted") {
    return <span className="muted">no process executes it</span>;
  }
  if (run.not_before !== null) {
    return (
      <span className="muted">
        starts <Time at={run.not_before} />
      </span>
    );
  }
  if (run.state === "queued") {
    return <span className="muted">waits for {run.waiting_on[0]}</span>;
  }
  const asked = run.active.find((step) => step.question !== null && !step.answered);
  if (asked !== undefined) {
    return <span>asks: {String(asked.question?.["prompt"] ?? asked.path)}</span>;
  }
  const step = run.running[0];
  if (run.state === "running" && step !== undefined) {
    const others = run.running.length - 1;
    return (
      <span className="muted">
        {step.path}
        {step.message !== "" && `: ${step.message}`}
        {others > 0 && `, and ${plural(others, "other step")}`}
      </span>
    );
  }
  if (run.failures.length > 0) {
    return <span className="muted">continued despite {plural(run.failures.length, "failure")}</span>;
  }
  return <span className="muted">{run.waiting_on.join(", ")}</span>;
}

export function BatchRow({ batch, index, isCurrent }: RowProps & { batch: BatchView }) {
  const total = batch.rows + batch.pending;
  const failed = (batch.states["failed"] ?? 0) + (batch.states["invalid"] ?? 0);
  const ended = ["succeeded", "failed", "cancelled", "invalid"].reduce((sum, state) => sum + (batch.states[state] ?? 0), 0);
  const state = ended < total || !batch.complete ? "running" : failed > 0 ? "failed" : "succeeded";
  return (
    <div role="row" aria-rowindex={index + 2} className="run-row" data-current={isCurrent}>
      <span role="cell" className="cell-select" />
      <span role="cell" className="cell-state">
        <StateBadge state={state} text={ended < total ? `${count(ended)} of ${count(total)}` : state} />
      </span>
      <span role="cell" className="cell-name">
        <Link href={`/runs?batch=${encodeURIComponent(batch.batch)}`} className="row-link truncate" id={`row-${index}`}>
          {batch.pipeline}
        </Link>
        <code className="muted run-id">{batch.batch}</code>
        <span className="chip">batch of {count(total)}</span>
      </span>
      <span role="cell" className="cell-note truncate muted">
        {failed > 0 && (
          <span className="state failed">
            {[batch.states["failed"] && `${count(batch.states["failed"])} failed`, batch.states["invalid"] && `${count(batch.states["invalid"])} invalid`]
              .filter(Boolean)
              .join(", ")}
          </span>
        )}
      </span>
      <span role="cell" className="cell-progress">
        <StatesBar states={batch.states} total={total} />
      </span>
      <span role="cell" className="cell-cost number">
        {batch.requests > 0 && money(batch.usd)}
      </span>
      <span role="cell" className="cell-elapsed number" />
      <span role="cell" className="cell-time number muted">
        <Time at={batch.created_at} />
      </span>
    </div>
  );
}

/** `12 runs, 3 min in total`: what is selected. */
export function summaryOf(runs: RunView[]): string {
  const seconds = runs.reduce((sum, run) => sum + run.elapsed, 0);
  return `${plural(runs.length, "run")}, ${duration(seconds)} in total`;
}
