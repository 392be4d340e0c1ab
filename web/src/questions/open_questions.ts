/** The questions that people have not answered yet, of all runs. */
import { queryOptions } from "@tanstack/react-query";

import { client, data } from "../api/client";
import { POLL } from "../api/queries";
import type { RunView, StepActivity } from "../api/types";

const MOST = 100;

export interface OpenQuestion {
  run: RunView;
  step: StepActivity;
}

export const questionsQuery = queryOptions({
  queryKey: ["questions"],
  queryFn: ({ signal }) =>
    data(client.GET("/v1/runs", { params: { query: { asks: true, limit: MOST } }, signal })),
  refetchInterval: POLL,
});

/** Returns the questions of these runs, those that have waited longest first. */
export function openQuestions(runs: RunView[]): OpenQuestion[] {
  return runs
    .flatMap((run) => run.active.filter(isOpen).map((step) => ({ run, step })))
    .sort((one, other) => one.step.started_at - other.step.started_at);
}

/** Whether a step asks a person who has not answered. */
export function isOpen(step: StepActivity): boolean {
  return step.question !== null && !step.answered;
}
