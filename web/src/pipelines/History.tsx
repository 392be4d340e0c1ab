/** The newest runs of a pipeline as bars, the newest at the right: the height is the time, the colour the state. */
import { Link } from "wouter";

import { hasEnded, type RunView } from "../api/types";
import { runAddress } from "../shared/address";
import { cost, duration, exactTime, money, plural } from "../shared/format";

export function History({ runs, compact = false }: { runs: RunView[]; compact?: boolean }) {
  const longest = Math.max(...runs.map((run) => run.elapsed), 0.001);
  return (
    <span className={compact ? "history compact" : "history"} role="list" aria-label="Newest runs, the newest last">
      {[...runs].reverse().map((run) => (
        <span key={run.run_id} role="listitem">
          <Link
            href={runAddress(run.run_id)}
            className={`history-bar state ${run.state}`}
            aria-label={`${run.state}, ${duration(run.elapsed)}`}
            title={[run.state, duration(run.elapsed), cost(run), exactTime(run.created_at)].filter(Boolean).join(" · ")}
          >
            <span style={{ height: `${Math.max(compact ? 30 : 12, 100 * (run.elapsed / longest))}%` }} data-state={run.state} />
          </Link>
        </span>
      ))}
    </span>
  );
}

/** How often, how long and for how much these runs have worked. */
export function HistorySums({ runs }: { runs: RunView[] }) {
  const ended = runs.filter(hasEnded);
  const succeeded = ended.filter((run) => run.state === "succeeded");
  const times = succeeded.map((run) => run.elapsed).sort((one, other) => one - other);
  const paid = runs.filter((run) => run.model_calls > 0);
  return (
    <dl className="sums">
      <dt>Success</dt>
      <dd>{ended.length === 0 ? "none has ended" : `${Math.round((100 * succeeded.length) / ended.length)}% of ${plural(ended.length, "run")}`}</dd>
      <dt>Usual time</dt>
      <dd>{times.length === 0 ? "–" : duration(times[Math.floor(times.length / 2)] as number)}</dd>
      <dt>Longest</dt>
      <dd>{times.length === 0 ? "–" : duration(times.at(-1) as number)}</dd>
      <dt>Cost of a run</dt>
      <dd>{paid.length === 0 ? "no model calls" : money(paid.reduce((sum, run) => sum + run.known_cost, 0) / paid.length)}</dd>
    </dl>
  );
}
