/** A bar of the states that many runs or items have. */
import { count } from "../shared/format";

const ORDER = ["succeeded", "failed", "invalid", "cancelled", "running", "queued", "waiting", "paused", "interrupted"];

export function StatesBar({ states, total }: { states: Record<string, number>; total: number }) {
  const parts = ORDER.filter((state) => (states[state] ?? 0) > 0);
  const said = parts.map((state) => `${count(states[state] ?? 0)} ${state}`).join(", ") || "nothing started";
  return (
    <span className="bar" role="img" aria-label={said} title={said}>
      {parts.map((state) => (
        <span key={state} className={state} style={{ width: `${(100 * (states[state] ?? 0)) / Math.max(1, total)}%` }} />
      ))}
    </span>
  );
}
