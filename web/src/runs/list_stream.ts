/** Follows the runs of a list: says when some have changed, so that they are read again at once. */
import { useQueryClient } from "@tanstack/react-query";
import { useEffect, useRef, useState } from "react";

import { subscribe } from "../api/live";
import { apiQuery, queryOf, type RunFilter } from "./filter";

/** Changes that follow one another within this time are read together, in milliseconds. */
const TOGETHER = 300;

/** Returns whether changes are reported by the stream; lists are read from time to time where they are not. */
export function useListStream(filter: RunFilter): boolean {
  const queries = useQueryClient();
  const key = queryOf(filter);
  return useRunStream(streamQuery(filter), key, (changed) => {
    void queries.invalidateQueries({ queryKey: ["runs", "newest", key] });
    for (const runId of changed) {
      void queries.invalidateQueries({ queryKey: ["run", runId], exact: true });
    }
  });
}

/**
 * Calls `onChange` with the ids of the runs that have changed, of those that the query of the stream selects.
 *
 * Another `key` is another stream, as queries contain the time. Returns whether there is a connection.
 */
export function useRunStream(query: string, key: string, onChange: (runIds: ReadonlySet<string>) => void): boolean {
  const [isConnected, setConnected] = useState(false);
  const current = useRef(onChange);
  current.current = onChange;
  useEffect(() => {
    let timer: number | undefined;
    let changed = new Set<string>();
    const tell = (): void => {
      const runIds = changed;
      timer = undefined;
      changed = new Set();
      current.current(runIds);
    };
    const stop = subscribe(`/v1/events?${query}`, null, {
      onEvent: ({ type, data }) => {
        if (type === "run") {
          changed.add(String((data as { run_id: string }).run_id));
        }
        timer ??= window.setTimeout(tell, TOGETHER);
      },
      onConnection: (problem) => setConnected(problem === null),
    });
    return () => {
      stop();
      window.clearTimeout(timer);
    };
    // The key says all that is in the query.
  }, [key]);
  return isConnected;
}

function streamQuery(filter: RunFilter): string {
  const parameters = new URLSearchParams();
  for (const [name, value] of Object.entries(apiQuery(filter))) {
    for (const each of Array.isArray(value) ? value : [value]) {
      parameters.append(name, String(each));
    }
  }
  return parameters.toString();
}
