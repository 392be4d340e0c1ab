/** What a list of one batch begins with: how its rows stand, and which of them are invalid and why. */
import { useQuery } from "@tanstack/react-query";

import { client, data } from "../api/client";
import { POLL } from "../api/queries";
import type { BatchView } from "../api/types";
import { count, money, plural } from "../shared/format";
import { ProblemNotice } from "../shared/ProblemNotice";
import { Prose } from "../shared/Prose";
import { Time } from "../shared/Time";
import { StatesBar } from "./StatesBar";

export function BatchHead({ id }: { id: string }) {
  const found = useQuery({
    queryKey: ["batches", id],
    queryFn: ({ signal }) => data(client.GET("/v1/batches/{batch_id}", { params: { path: { batch_id: id } }, signal })),
    refetchInterval: (query) => (query.state.data !== undefined && isOver(query.state.data) ? false : POLL),
    retry: false,
  });
  if (found.data === undefined) {
    return found.isError ? (
      <div className="batch-head">
        <ProblemNotice error={found.error} />
      </div>
    ) : null;
  }
  const batch = found.data;
  const total = batch.rows + batch.pending;
  return (
    <section className="batch-head" aria-label="Batch">
      <div className="row wrap">
        <strong>Batch of {plural(total, "row")}</strong>
        <span className="muted">{batch.pipeline}</span>
        <StatesBar states={batch.states} total={total} />
        <span className="muted">
          {Object.entries(batch.states)
            .map(([state, number]) => `${count(number)} ${state}`)
            .join(", ")}
          {batch.pending > 0 && `, ${count(batch.pending)} not started`}
        </span>
        {batch.requests > 0 && <span className="muted">{money(batch.usd)}</span>}
        <span className="muted">
          <Time at={batch.created_at} />
        </span>
      </div>
      {batch.problems.length > 0 && <Invalid batch={batch} />}
    </section>
  );
}

function isOver(batch: BatchView): boolean {
  const ended = ["succeeded", "failed", "cancelled", "invalid"].reduce((sum, state) => sum + (batch.states[state] ?? 0), 0);
  return batch.complete && ended === batch.rows + batch.pending;
}

/** Rows that have no run, as their inputs are wrong: they are not in the list. */
function Invalid({ batch }: { batch: BatchView }) {
  const invalid = batch.states["invalid"] ?? 0;
  return (
    <details className="invalid-rows" open={batch.problems.length <= 10}>
      <summary>
        <span className="state failed">{plural(invalid, "row")} not started, as the inputs are invalid</span>
      </summary>
      <ol className="plain">
        {batch.problems.map((problem) => (
          <li key={problem.row}>
            <span className="muted number">row {count(problem.row)}</span>
            <span>
              <Prose text={problem.message} /> <code className="muted">{problem.code}</code>
            </span>
          </li>
        ))}
        {invalid > batch.problems.length && <li className="muted">and {count(invalid - batch.problems.length)} more</li>}
      </ol>
      <p className="muted small">Fix these rows, and run the batch again with its id: rows that succeeded are not run again.</p>
    </details>
  );
}
