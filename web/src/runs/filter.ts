/** Which runs are listed: a filter that is part of the address. */
import { useMemo } from "react";
import { useSearchParams } from "wouter";

import type { RunState } from "../api/types";

export const STATES: RunState[] = ["queued", "running", "waiting", "failed", "succeeded", "paused", "interrupted", "cancelled"];

/** How far back, by the word in the address. Seconds. */
export const PERIODS: Record<string, { label: string; seconds: number }> = {
  "1h": { label: "Last hour", seconds: 3_600 },
  "24h": { label: "Last 24 hours", seconds: 86_400 },
  "7d": { label: "Last 7 days", seconds: 7 * 86_400 },
  "30d": { label: "Last 30 days", seconds: 30 * 86_400 },
};

export interface RunFilter {
  state: RunState | "";
  pipeline: string;
  label: string;
  batch: string;
  period: string;
  text: string;
}

export const NO_FILTER: RunFilter = { state: "", pipeline: "", label: "", batch: "", period: "", text: "" };

const NAMES = Object.keys(NO_FILTER) as (keyof RunFilter)[];

export function filterOf(parameters: URLSearchParams): RunFilter {
  const found = { ...NO_FILTER };
  for (const name of NAMES) {
    Object.assign(found, { [name]: parameters.get(name) ?? "" });
  }
  if (!STATES.includes(found.state as RunState)) {
    found.state = "";
  }
  if (!(found.period in PERIODS)) {
    found.period = "";
  }
  return found;
}

/** Returns the address's query for a filter, without what is not set; empty for none. */
export function queryOf(filter: RunFilter): string {
  const parameters = new URLSearchParams();
  for (const name of NAMES) {
    if (filter[name] !== "") {
      parameters.set(name, filter[name]);
    }
  }
  return parameters.toString();
}

export function isEmpty(filter: RunFilter): boolean {
  return NAMES.every((name) => filter[name] === "");
}

/** Returns the filter in the address, and a function that changes some of it. */
export function useRunFilter(): [RunFilter, (change: Partial<RunFilter>) => void] {
  const [parameters, setParameters] = useSearchParams();
  const text = parameters.toString();
  const filter = useMemo(() => filterOf(new URLSearchParams(text)), [text]);
  const change = (changed: Partial<RunFilter>): void =>
    setParameters(new URLSearchParams(queryOf({ ...filter, ...changed })), { replace: true });
  return [filter, change];
}

/** The query of the API for a filter. */
export function apiQuery(filter: RunFilter): {
  state?: RunState;
  pipeline?: string;
  label?: string[];
  batch?: string;
  since?: number;
  text?: string;
  single?: boolean;
} {
  const period = PERIODS[filter.period];
  const minute = Math.floor(Date.now() / 60_000) * 60;
  return {
    ...(filter.state !== "" && { state: filter.state }),
    ...(filter.pipeline !== "" && { pipeline: filter.pipeline }),
    ...(filter.label !== "" && { label: [filter.label] }),
    ...(filter.batch !== "" && { batch: filter.batch }),
    ...(filter.text !== "" && { text: filter.text }),
    ...(period !== undefined && { since: minute - period.seconds }),
    ...(showsBatches(filter) && { single: true }),
  };
}

/** Whether batches are listed as a whole: a filter that some of a batch's runs match lists those. */
export function showsBatches(filter: RunFilter): boolean {
  return filter.state === "" && filter.label === "" && filter.batch === "" && filter.text === "";
}
