/** What is read of one run. Every key begins with the run, so that all of it is read again when the run changes. */
import { keepPreviousData, queryOptions } from "@tanstack/react-query";

import { client, data } from "../api/client";
import type { Files, WrittenFile } from "../shared/files";
import { type EventView, hasEnded } from "../api/types";

/** How many items of a loop are read together. */
export const PAGE = 100;

const IDLE_POLL = 5_000;
const POLL = 2_000;

export function runKey(runId: string): [string, string] {
  return ["run", runId];
}

export function statusQuery(runId: string) {
  return queryOptions({
    queryKey: [...runKey(runId), "status"],
    queryFn: ({ signal }) => data(client.GET("/v1/runs/{run_id}", { params: { path: { run_id: runId } }, signal })),
    // A stream reports what happens; polling notices that an owner has ended, or that somebody resumed an ended run.
    refetchInterval: (query) => (query.state.data !== undefined && hasEnded(query.state.data) ? IDLE_POLL : POLL),
  });
}

export function levelQuery(runId: string, within: string, first: number) {
  return queryOptions({
    queryKey: [...runKey(runId), "tree", within, first],
    queryFn: ({ signal }) =>
      data(
        client.GET("/v1/runs/{run_id}/tree", {
          params: { path: { run_id: runId }, query: { within, first, limit: PAGE } },
          signal,
        }),
      ),
    placeholderData: keepPreviousData,
  });
}

export function timelineQuery(runId: string, within: string) {
  return queryOptions({
    queryKey: [...runKey(runId), "timeline", within],
    queryFn: ({ signal }) =>
      data(
        client.GET("/v1/runs/{run_id}/timeline", { params: { path: { run_id: runId }, query: { within, limit: PAGE } }, signal }),
      ),
    placeholderData: keepPreviousData,
  });
}

export function detailQuery(runId: string, path: string) {
  return queryOptions({
    queryKey: [...runKey(runId), "details", path],
    queryFn: ({ signal }) =>
      data(client.GET("/v1/runs/{run_id}/details/{path}", { params: { path: { run_id: runId, path } }, signal })),
  });
}

export function inputsQuery(runId: string, path: string) {
  return queryOptions({
    queryKey: [...runKey(runId), "inputs", path],
    queryFn: ({ signal }) =>
      data(client.GET("/v1/runs/{run_id}/inputs/{path}", { params: { path: { run_id: runId, path } }, signal })),
  });
}

export function messagesQuery(runId: string, path: string) {
  return queryOptions({
    queryKey: [...runKey(runId), "messages", path],
    queryFn: ({ signal }) =>
      data(client.GET("/v1/runs/{run_id}/messages/{path}", { params: { path: { run_id: runId, path } }, signal })),
  });
}

export function whyQuery(runId: string, path: string) {
  return queryOptions({
    queryKey: [...runKey(runId), "why", path],
    queryFn: ({ signal }) =>
      data(client.GET("/v1/runs/{run_id}/why/{path}", { params: { path: { run_id: runId, path } }, signal })),
  });
}

/** A page of events: the description of the API knows that it may also be a stream. */
export interface EventPage {
  events: EventView[];
  next: number;
}

export function logQuery(runId: string, path: string) {
  return queryOptions({
    queryKey: [...runKey(runId), "log", path],
    queryFn: ({ signal }) =>
      data<EventPage>(
        client.GET("/v1/runs/{run_id}/events", {
          params: {
            path: { run_id: runId },
            query: { path: [path], type: ["step.log", "step.progress", "step.warning"], limit: 500 },
          },
          signal,
        }) as never,
      ),
  });
}

export function resultQuery(runId: string) {
  return queryOptions({
    queryKey: [...runKey(runId), "result"],
    queryFn: ({ signal }) => data(client.GET("/v1/runs/{run_id}/result", { params: { path: { run_id: runId } }, signal })),
  });
}

export function planQuery(runId: string) {
  return queryOptions({
    queryKey: [...runKey(runId), "plan"],
    queryFn: ({ signal }) => data(client.GET("/v1/runs/{run_id}/plan", { params: { path: { run_id: runId } }, signal })),
    staleTime: 30_000,
  });
}

/** What a retry of a step runs again. */
export function againQuery(runId: string, path: string) {
  return queryOptions({
    queryKey: [...runKey(runId), "again", path],
    queryFn: ({ signal }) =>
      data(client.GET("/v1/runs/{run_id}/again/{path}", { params: { path: { run_id: runId, path } }, signal })),
  });
}

export function startQuery(runId: string) {
  return queryOptions({
    queryKey: [...runKey(runId), "start"],
    queryFn: ({ signal }) => data(client.GET("/v1/runs/{run_id}/start", { params: { path: { run_id: runId } }, signal })),
    staleTime: 30_000,
  });
}

/** The files that a run wrote, of its first events about files. */
export function filesQuery(runId: string) {
  return queryOptions({
    queryKey: [...runKey(runId), "files"],
    queryFn: ({ signal }) =>
      data(client.GET("/v1/runs/{run_id}/files", { params: { path: { run_id: runId }, query: { limit: 500 } }, signal })),
    select: byPath,
  });
}

/** Not made with each query: what it returns is the same as long as the files are. */
function byPath(page: { files: WrittenFile[] }): Files {
  return new Map(page.files.map((file) => [file.path, file]));
}

export function historyQuery(runId: string) {
  return queryOptions({
    queryKey: [...runKey(runId), "history"],
    queryFn: ({ signal }) => data(client.GET("/v1/runs/{run_id}/history", { params: { path: { run_id: runId } }, signal })),
  });
}
