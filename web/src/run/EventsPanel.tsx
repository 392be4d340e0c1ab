/** The events of a run, folded at the bottom: the newest as they are recorded, earlier ones on demand. */
import { ChevronRight } from "lucide-react";
import { useEffect, useRef, useState } from "react";

import { client, data } from "../api/client";
import type { EventView } from "../api/types";
import { useParameter } from "../shared/address";
import { count, exactTime } from "../shared/format";
import { EARLIER, useFeedState } from "./feed";
import type { EventPage } from "./run_data";

const CLOCK = new Intl.DateTimeFormat(undefined, { hour: "2-digit", minute: "2-digit", second: "2-digit", fractionalSecondDigits: 3, hourCycle: "h23" });
const SHOWN = 300;

export function EventsPanel({ runId }: { runId: string }) {
  const [open, setOpen] = useParameter("events");
  const { events } = useFeedState();
  const newest = events[events.length - 1];
  return (
    <section className="events" aria-label="Events">
      <button type="button" className="events-bar" aria-expanded={open !== ""} onClick={() => setOpen(open === "" ? "open" : "")}>
        <ChevronRight size={14} aria-hidden className={open !== "" ? "turned" : undefined} />
        Events
        {newest !== undefined && (
          <span className="muted truncate">
            {count(newest.seq)}: {newest.type} {newest.path}
          </span>
        )}
      </button>
      {open !== "" && <Events runId={runId} events={events} />}
    </section>
  );
}

function Events({ runId, events }: { runId: string; events: readonly EventView[] }) {
  const [earlier, setEarlier] = useState<readonly EventView[]>([]);
  const [isFull, setFull] = useState(false);
  const list = useRef<HTMLDivElement>(null);
  const atEnd = useRef(true);
  const live = isFull ? events : events.slice(-SHOWN);
  const first = earlier[0]?.seq ?? live[0]?.seq ?? 1;
  const shown = [...earlier, ...live.filter((event) => event.seq > (earlier[earlier.length - 1]?.seq ?? 0))];
  useEffect(() => {
    if (atEnd.current && list.current !== null) {
      list.current.scrollTop = list.current.scrollHeight;
    }
  }, [events]);
  const readEarlier = async (): Promise<void> => {
    if (!isFull && events.length > SHOWN) {
      setFull(true);
      return;
    }
    const after = Math.max(0, first - 1 - EARLIER);
    const limit = first - 1 - after;
    const page = await data<EventPage>(
      client.GET("/v1/runs/{run_id}/events", { params: { path: { run_id: runId }, query: { after, limit } } }) as never,
    );
    setEarlier([...page.events, ...(earlier.length > 0 ? earlier : [])]);
  };
  return (
    <div
      ref={list}
      className="events-list"
      tabIndex={0}
      role="group"
      aria-label="Events"
      onScroll={(event) => {
        const { scrollHeight, scrollTop, clientHeight } = event.currentTarget;
        atEnd.current = scrollHeight - scrollTop - clientHeight < 24;
      }}
    >
      {first > 1 && (
        <button type="button" className="button quiet" onClick={() => void readEarlier()}>
          Show earlier events
        </button>
      )}
      <ol className="plain">
        {shown.map((event) => (
          <li key={event.seq} data-seq={event.seq}>
            <span className="muted number">{event.seq}</span>
            <time className="muted" title={exactTime(event.at)}>
              {CLOCK.format(event.at * 1000)}
            </time>
            <span>{event.type}</span>
            <code className="truncate">{event.path}</code>
            <span className="muted truncate">{about(event)}</span>
          </li>
        ))}
      </ol>
    </div>
  );
}

/** What an event says beyond its type, in a few words. */
function about(event: EventView): string {
  const { message, reason, by, model, error, reply: _, ...rest } = event.data as Record<string, unknown>;
  const failure = (error as { message?: string } | null | undefined)?.message;
  const words = [model, reason, by, message, failure].filter((each) => typeof each === "string" && each !== "");
  return words.length > 0 ? words.join(", ") : "output" in rest ? JSON.stringify(rest["output"] ?? null).slice(0, 200) : "";
}
