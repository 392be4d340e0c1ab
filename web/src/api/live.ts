/** Live streams of events (server-sent events), rejoined after a lost connection without a gap or a repetition. */
import { EventSourceParserStream } from "eventsource-parser/stream";

import { Problem, problemOf, unreachable } from "./problem";

export interface StreamedEvent {
  /** The type of an event, such as `step.succeeded`, or of what a stream says of itself, such as `end`. */
  type: string;
  /** The id of a recorded event, by which the stream is rejoined; null of others, such as `step.partial`. */
  id: string | null;
  data: unknown;
}

export interface Subscription {
  /** Receives each event once, in order. */
  onEvent: (event: StreamedEvent) => void;
  /** Is told when the connection is lost, with the reason, and when it is there again, with null. */
  onConnection?: (problem: Problem | null) => void;
}

const FIRST_PAUSE = 500;
const LONGEST_PAUSE = 10_000;
/** The server sends a line every 10 seconds; a connection without one for this long is lost. */
const SILENCE = 25_000;

/**
 * Subscribes to a stream until it sends `end`, or until the function that is returned is called.
 *
 * `after` is the id of the last event that is known already. Requests that can never succeed, such as for an unknown
 * run or without permission, are reported once and not repeated.
 */
export function subscribe(path: string, after: string | null, subscription: Subscription): () => void {
  const stop = new AbortController();
  void follow(path, after, subscription, stop.signal);
  return () => stop.abort();
}

async function follow(path: string, after: string | null, to: Subscription, stop: AbortSignal): Promise<void> {
  let last = after;
  let pause = FIRST_PAUSE;
  const received = (event: StreamedEvent): void => {
    last = event.id ?? last;
    pause = FIRST_PAUSE;
    to.onEvent(event);
  };
  while (!stop.aborted) {
    let problem: Problem;
    try {
      if (await readOnce(path, last, received, () => to.onConnection?.(null), stop)) {
        return;
      }
      problem = unreachable();
    } catch (error) {
      problem = error instanceof Problem ? error : unreachable();
    }
    if (stop.aborted) {
      return;
    }
    to.onConnection?.(problem);
    if (problem.status >= 400 && problem.status < 500 && problem.status !== 429) {
      return;
    }
    await sleep(pause, stop);
    pause = Math.min(pause * 2, LONGEST_PAUSE);
  }
}

/** Reads a stream until the connection ends, and returns whether it has said that there is nothing more to come. */
async function readOnce(
  path: string,
  last: string | null,
  received: (event: StreamedEvent) => void,
  connected: () => void,
  stop: AbortSignal,
): Promise<boolean> {
  const silent = new AbortController();
  const headers: Record<string, string> = { Accept: "text/event-stream" };
  if (last !== null) {
    headers["Last-Event-ID"] = last;
  }
  const signal = AbortSignal.any([stop, silent.signal]);
  let timer = window.setTimeout(() => silent.abort(), SILENCE);
  try {
    const response = await fetch(path, { headers, signal, cache: "no-store", credentials: "same-origin" });
    if (!response.ok || response.body === null) {
      throw problemOf(await response.json().catch(() => null), response);
    }
    connected();
    const heard = new TransformStream<Uint8Array<ArrayBuffer>, Uint8Array<ArrayBuffer>>({
      transform(chunk, controller) {
        window.clearTimeout(timer);
        timer = window.setTimeout(() => silent.abort(), SILENCE);
        controller.enqueue(chunk);
      },
    });
    const events = response.body
      .pipeThrough(heard)
      .pipeThrough(new TextDecoderStream())
      .pipeThrough(new EventSourceParserStream())
      .getReader();
    for (;;) {
      const { done, value } = await events.read();
      if (done) {
        return false;
      }
      const type = value.event ?? "message";
      const content: unknown = JSON.parse(value.data);
      if (type === "problem") {
        throw new Problem(content as ConstructorParameters<typeof Problem>[0]);
      }
      received({ type, id: value.id ?? null, data: content });
      if (type === "end") {
        return true;
      }
    }
  } finally {
    window.clearTimeout(timer);
  }
}

function sleep(milliseconds: number, stop: AbortSignal): Promise<void> {
  return new Promise((resolve) => {
    const timer = window.setTimeout(resolve, milliseconds);
    stop.addEventListener("abort", () => {
      window.clearTimeout(timer);
      resolve();
    });
  });
}
