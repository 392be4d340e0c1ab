/** The runs that are listed, kept current: rows keep their places while they change, and new runs wait to be shown. */
import { useInfiniteQuery, useQueries, useQuery, useQueryClient } from "@tanstack/react-query";
import { useEffect, useMemo } from "react";

import { client, data } from "../api/client";
import { POLL } from "../api/queries";
import { type BatchView, hasEnded, type RunView } from "../api/types";
import { apiQuery, queryOf, type RunFilter, showsBatches } from "./filter";
import { useListStream } from "./list_stream";

const PAGE = 50;
/** How many runs that are not among the newest are followed one by one. */
const FOLLOWED = 20;

export type Row = { kind: "run"; id: string; run: RunView; labels: string[]; number: number | undefined } | { kind: "batch"; id: string; batch: BatchView };

export interface RunList {
  rows: Row[];
  /** How many runs were started since the list was read, and are not in it yet. */
  fresh: number;
  showFresh: () => void;
  more: boolean;
  isLoadingMore: boolean;
  loadMore: () => void;
  isLoading: boolean;
  error: unknown;
}

async function readPage(filter: RunFilter, before: string | null, signal: AbortSignal) {
  const query = { ...apiQuery(filter), limit: PAGE, ...(before !== null && { before }) };
  return data(client.GET("/v1/runs", { params: { query }, signal }));
}

export function useRunList(filter: RunFilter): RunList {
  const queries = useQueryClient();
  const key = queryOf(filter);
  const isFollowed = useListStream(filter);
  const pages = useInfiniteQuery({
    queryKey: ["runs", "pages", key],
    queryFn: ({ pageParam, signal }) => readPage(filter, pageParam, signal),
    initialPageParam: null as string | null,
    getNextPageParam: (page) => page.next,
    staleTime: Number.POSITIVE_INFINITY,
    refetchOnWindowFocus: false,
    gcTime: 0,
  });
  const newest = useQuery({
    queryKey: ["runs", "newest", key],
    queryFn: ({ signal }) => readPage(filter, null, signal),
    refetchInterval: isFollowed ? 15 * POLL : POLL,
    enabled: pages.data !== undefined,
    gcTime: 0,
  });
  const batches = useQuery({
    queryKey: ["batches"],
    queryFn: ({ signal }) => data(client.GET("/v1/batches", { params: { query: { limit: 20 } }, signal })),
    refetchInterval: 5 * POLL,
    enabled: showsBatches(filter),
  });

  const loaded = useMemo(() => pages.data?.pages.flatMap((page) => page.runs) ?? [], [pages.data]);
  const latest = useMemo(() => new Map(newest.data?.runs.map((run) => [run.run_id, run])), [newest.data]);
  const followed = loaded.filter((run) => !hasEnded(run) && newest.data !== undefined && !latest.has(run.run_id));
  const single = useQueries({
    queries: followed.slice(0, FOLLOWED).map((run) => ({
      queryKey: ["run", run.run_id],
      queryFn: ({ signal }: { signal: AbortSignal }) =>
        data(client.GET("/v1/runs/{run_id}", { params: { path: { run_id: run.run_id } }, signal })),
      refetchInterval: isFollowed ? 15 * POLL : 2 * POLL,
    })),
    combine: (results) => results.flatMap((result) => (result.data === undefined ? [] : [result.data])),
  });

  const labels = useMemo(() => Object.assign({}, ...(pages.data?.pages.map((page) => page.labels) ?? [])) as Record<string, string[]>, [pages.data]);
  const numbers = useMemo(() => Object.assign({}, ...(pages.data?.pages.map((page) => page.rows) ?? [])) as Record<string, number>, [pages.data]);
  const rows = useMemo(() => {
    const current = new Map([...latest, ...single.map((run) => [run.run_id, run] as const)]);
    const runs: Row[] = loaded.map((run) => ({
      kind: "run",
      id: run.run_id,
      run: current.get(run.run_id) ?? run,
      labels: labels[run.run_id] ?? [],
      number: numbers[run.run_id],
    }));
    const found = showsBatches(filter) ? (batches.data?.batches ?? []) : [];
    const last = pages.hasNextPage ? (loaded.at(-1)?.created_at ?? 0) : 0;
    const shown = found.filter(
      (batch) => batch.created_at >= last && (filter.pipeline === "" || batch.pipeline === filter.pipeline),
    );
    return merged(
      runs,
      shown.map((batch) => ({ kind: "batch", id: batch.batch, batch })),
    );
  }, [loaded, labels, numbers, latest, single, batches.data, pages.hasNextPage, filter]);

  const known = useMemo(() => new Set(loaded.map((run) => run.run_id)), [loaded]);
  const first = loaded[0]?.created_at ?? 0;
  const fresh = [...latest.values()].filter((run) => !known.has(run.run_id) && run.created_at >= first).length;

  const showFresh = (): void => {
    void queries.resetQueries({ queryKey: ["runs", "pages", key] });
  };
  const isEmpty = pages.data !== undefined && loaded.length === 0;
  const isFilled = isEmpty && fresh > 0;
  useEffect(() => {
    if (isFilled) {
      // There is nothing that could move.
      void queries.resetQueries({ queryKey: ["runs", "pages", key] });
    }
  }, [isFilled, queries, key]);
  return {
    rows,
    fresh,
    showFresh,
    more: pages.hasNextPage,
    isLoadingMore: pages.isFetchingNextPage,
    loadMore: () => {
      if (pages.hasNextPage && !pages.isFetchingNextPage) {
        void pages.fetchNextPage();
      }
    },
    isLoading: pages.isLoading,
    error: pages.error,
  };
}

/** Merges runs and batches, each newest first. */
function merged(runs: Row[], batches: Row[]): Row[] {
  const rows: Row[] = [];
  let next = 0;
  for (const run of runs) {
    for (; next < batches.length && createdAt(batches[next] as Row) > createdAt(run); next += 1) {
      rows.push(batches[next] as Row);
    }
    rows.push(run);
  }
  return [...rows, ...batches.slice(next)];
}

function createdAt(row: Row): number {
  return row.kind === "run" ? row.run.created_at : row.batch.created_at;
}
