/** The live events of a run: each once and in order, also after the connection was lost; and what models are writing. */
import { useQueryClient } from "@tanstack/react-query";
import { createContext, useCallback, useContext, useEffect, useRef, useState, useSyncExternalStore } from "react";

import { type StreamedEvent, subscribe } from "../api/live";
import type { Problem } from "../api/problem";
import { type EventView, hasEnded, type RunView } from "../api/types";
import { runKey } from "./run_data";

/** How many of the newest events are kept; earlier ones are read when they are asked for. */
const KEPT = 1_000;
/** How many of the events before the page was opened are read. */
export const EARLIER = 100;
const FLUSH = 100;
const LONGEST_PARTIAL = 100_000;
const SHORTEST_PAUSE = 250;

export interface FeedState {
  events: readonly EventView[];
  /** What a model is writing in a step, by the step's path. */
  partials: ReadonlyMap<string, string>;
  problem: Problem | null;
}

const NOTHING: FeedState = { events: [], partials: new Map(), problem: null };

export class Feed {
  #state = NOTHING;
  #listeners = new Set<() => void>();
  #received: EventView[] = [];
  #partials = new Map<string, string>();
  #timer: number | undefined;
  #stop: (() => void) | null = null;
  #last = -1;
  #known = 0;

  constructor(
    private readonly runId: string,
    private readonly onChange: () => void,
  ) {}

  get isFollowing(): boolean {
    return this.#stop !== null;
  }

  /** The number of the newest event; -1 before it has begun. */
  get last(): number {
    return this.#last;
  }

  /**
   * Follows the run from the event after the newest one, at first after the one numbered `after`.
   *
   * What is shown at first has all events up to the one numbered `known`. Later, when somebody has continued the run, it
   * has only those that were received: its status alone may be newer.
   */
  follow(after: number, known: number): void {
    if (this.#stop !== null) {
      return;
    }
    this.#known = this.#last < 0 ? known : this.#last;
    this.#last = Math.max(this.#last, after);
    const path = `/v1/runs/${encodeURIComponent(this.runId)}/events`;
    this.#stop = subscribe(path, String(this.#last), {
      onEvent: (event) => this.#take(event),
      onConnection: (problem) => this.#set({ ...this.#state, problem }),
    });
  }

  close(): void {
    this.#stop?.();
    this.#stop = null;
    window.clearTimeout(this.#timer);
  }

  readonly listen = (listener: () => void): (() => void) => {
    this.#listeners.add(listener);
    return () => this.#listeners.delete(listener);
  };

  readonly state = (): FeedState => this.#state;

  #take({ type, id, data }: StreamedEvent): void {
    if (type === "end") {
      this.#stop = null;
    } else if (type === "step.partial") {
      const event = data as EventView;
      const text = (this.#partials.get(event.path) ?? "") + String(event.data["text"] ?? "");
      this.#partials.set(event.path, text.slice(-LONGEST_PARTIAL));
    } else if (id !== null && Number(id) > this.#last) {
      const event = data as EventView;
      this.#last = Number(id);
      this.#received.push(event);
      if (event.type === "step.model" || event.type === "step.started" || /^step\.(succeeded|failed|cancelled)$/.test(event.type)) {
        this.#partials.delete(event.path);
      }
    } else {
      return;
    }
    this.#timer ??= window.setTimeout(() => this.#flush(), FLUSH);
  }

  #flush(): void {
    this.#timer = undefined;
    const received = this.#received;
    this.#received = [];
    const events = received.length === 0 ? this.#state.events : [...this.#state.events, ...received].slice(-KEPT);
    this.#set({ ...this.#state, events, partials: new Map(this.#partials) });
    if (received.some((event) => event.seq > this.#known)) {
      this.onChange();
    }
  }

  #set(state: FeedState): void {
    this.#state = state;
    for (const listener of this.#listeners) {
      listener();
    }
  }
}

/** Follows a run while it is shown, and has all that is shown of it read again when it has changed. */
export function useFeed(runId: string, run: RunView | undefined): Feed {
  const refresh = useRefresh(runId);
  const [feed] = useState(() => new Feed(runId, refresh));
  useEffect(() => () => feed.close(), [feed]);
  useEffect(() => {
    // A stream ends with the run, or with its process; it begins again when there is something new.
    if (run !== undefined && !feed.isFollowing && (run.last_seq > feed.last || feed.last < 0 || !hasEnded(run))) {
      feed.follow(Math.max(0, run.last_seq - EARLIER), run.last_seq);
    }
  }, [feed, run]);
  return feed;
}

/** Returns a function that has what is shown of a run read again: one reading at a time, with pauses as long as it took. */
function useRefresh(runId: string): () => void {
  const queries = useQueryClient();
  const turn = useRef({ busy: false, again: false });
  return useCallback(() => {
    const refresh = async (): Promise<void> => {
      if (turn.current.busy) {
        turn.current.again = true;
        return;
      }
      turn.current.busy = true;
      const begun = performance.now();
      await queries.invalidateQueries({ queryKey: runKey(runId) });
      const pause = Math.max(SHORTEST_PAUSE, 2 * (performance.now() - begun));
      window.setTimeout(() => {
        turn.current.busy = false;
        if (turn.current.again) {
          turn.current.again = false;
          void refresh();
        }
      }, pause);
    };
    void refresh();
  }, [queries, runId]);
}

export const FeedContext = createContext<Feed | null>(null);

const noListener = (): (() => void) => () => undefined;

export function useFeedState(): FeedState {
  const feed = useContext(FeedContext);
  return useSyncExternalStore(feed?.listen ?? noListener, feed?.state ?? (() => NOTHING));
}

/** What a model is writing in a step now; empty if it writes nothing. */
export function usePartial(path: string): string {
  return useFeedState().partials.get(path) ?? "";
}
