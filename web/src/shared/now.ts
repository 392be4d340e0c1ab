/** The current time, for what is shown relative to it: all of it changes together, once a second. */
import { useSyncExternalStore } from "react";

let now = Date.now() / 1000;
const listeners = new Set<() => void>();
let timer: number | undefined;

function tick(): void {
  now = Date.now() / 1000;
  for (const listener of listeners) {
    listener();
  }
}

function listen(listener: () => void): () => void {
  listeners.add(listener);
  if (timer === undefined) {
    now = Date.now() / 1000;
    timer = window.setInterval(tick, 1_000);
  }
  return () => {
    listeners.delete(listener);
    if (listeners.size === 0) {
      window.clearInterval(timer);
      timer = undefined;
    }
  };
}

/** Returns the time in seconds since the epoch, and renders the component again each second. */
export function useNow(): number {
  return useSyncExternalStore(listen, () => now);
}
