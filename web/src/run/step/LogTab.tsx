/** What the tool of a step logged, its progress and its warnings. */
import { useQuery } from "@tanstack/react-query";

import { exactTime } from "../../shared/format";
import { ProblemNotice } from "../../shared/ProblemNotice";
import { logQuery } from "../run_data";

const CLOCK = new Intl.DateTimeFormat(undefined, { hour: "2-digit", minute: "2-digit", second: "2-digit", hourCycle: "h23" });

export function LogTab({ runId, path }: { runId: string; path: string }) {
  const log = useQuery(logQuery(runId, path));
  if (log.isError) {
    return <ProblemNotice error={log.error} />;
  }
  const events = log.data?.events ?? [];
  if (log.data !== undefined && events.length === 0) {
    return <p className="muted">It has logged nothing.</p>;
  }
  return (
    <ol className="plain log">
      {events.map((event) => {
        const { message, level, fraction } = event.data as { message?: string; level?: string; fraction?: number };
        const isWarning = event.type === "step.warning" || level === "warning" || level === "error";
        return (
          <li key={event.seq}>
            <time className="muted" title={exactTime(event.at)}>
              {CLOCK.format(event.at * 1000)}
            </time>{" "}
            <span className={isWarning ? "state waiting" : undefined}>
              {typeof fraction === "number" && `${Math.round(fraction * 100)}% `}
              {message}
            </span>
          </li>
        );
      })}
    </ol>
  );
}
