/** Times relative to now, with the exact one on hover, and durations that go on. */
import { ago, duration, exactTime, until } from "./format";
import { useNow } from "./now";

/** How long ago something happened, or that it is yet to come. `at` in seconds since the epoch. */
export function Time({ at }: { at: number }) {
  const now = useNow();
  return (
    <time dateTime={new Date(at * 1000).toISOString()} title={exactTime(at)}>
      {at > now + 1 ? until(at, now) : ago(at, now)}
    </time>
  );
}

const MOST_READ = 5_000;

/** When each duration was read first. What has not changed is not sent again, so that it is older than its response. */
const read = new Map<string, { measured: number; at: number }>();

function readAt(id: string, measured: number): number {
  const known = read.get(id);
  if (known?.measured === measured) {
    return known.at;
  }
  if (read.size > MOST_READ) {
    read.clear();
  }
  const at = Date.now() / 1000;
  read.set(id, { measured, at });
  return at;
}

/** How long something has taken, in seconds when it was read, which goes on while it is `running`. `id` says of what. */
export function Elapsed({ id, measured, running }: { id: string; measured: number; running: boolean }) {
  return running ? <Running id={id} measured={measured} /> : <>{duration(measured)}</>;
}

function Running({ id, measured }: { id: string; measured: number }) {
  return <>{duration(useElapsed(id, measured))}</>;
}

/** Returns how many seconds something has taken that goes on, from how long it had taken when it was read. */
export function useElapsed(id: string, measured: number): number {
  const now = useNow();
  return measured + Math.max(0, now - readAt(id, measured));
}
