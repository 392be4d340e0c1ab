/** The list of runs: filtered, kept current, and read page by page as it is scrolled. */
import { useQuery } from "@tanstack/react-query";
import { useVirtualizer } from "@tanstack/react-virtual";
import { ArrowUp } from "lucide-react";
import { useCallback, useEffect, useRef, useState } from "react";
import { useLocation } from "wouter";

import { useMay } from "../api/queries";
import type { RunView } from "../api/types";
import { pipelinesQuery } from "../pipelines/pipelines_query";
import { runAddress } from "../shared/address";
import { plural } from "../shared/format";
import { useShortcuts } from "../shared/keys";
import { ProblemNotice } from "../shared/ProblemNotice";
import { BatchHead } from "./BatchHead";
import { BulkBar } from "./BulkBar";
import { Filters } from "./Filters";
import { isEmpty, NO_FILTER, useRunFilter } from "./filter";
import { FirstStart } from "./FirstStart";
import { BatchRow, RunRow } from "./RunRow";
import { type Row, useRunList } from "./run_list";
import "./runs.css";

const ROW_HEIGHT = 40;
const NARROW_HEIGHT = 64;
const NARROW = matchMedia("(max-width: 760px)");

export function RunsPage() {
  const [filter, change] = useRunFilter();
  const list = useRunList(filter);
  const search = useRef<HTMLInputElement>(null);
  const [selected, setSelected] = useState<ReadonlySet<string>>(new Set());
  useQuery(pipelinesQuery);
  const runs = list.rows.flatMap((row) => (row.kind === "run" && selected.has(row.id) ? [row.run] : []));
  const isUnused = isEmpty(filter) && !list.isLoading && list.error === null && list.rows.length === 0;
  return (
    <main className="runs">
      <div className="page-head">
        <h1>Runs</h1>
        <div className="fresh" role="status">
          {list.fresh > 0 && (
            <button type="button" className="button" onClick={list.showFresh}>
              <ArrowUp size={14} aria-hidden /> {list.fresh >= 50 ? "50 or more" : list.fresh} new
            </button>
          )}
        </div>
      </div>
      {!isUnused && <Filters filter={filter} change={change} search={search} />}
      {list.error !== null && (
        <div className="page-body">
          <ProblemNotice error={list.error} />
        </div>
      )}
      {filter.batch !== "" && <BatchHead id={filter.batch} />}
      {isUnused ? (
        <FirstStart />
      ) : (
        <Table
          key={JSON.stringify(filter)}
          rows={list.rows}
          more={list.more}
          isLoadingMore={list.isLoadingMore}
          loadMore={list.loadMore}
          isLoading={list.isLoading}
          selected={selected}
          onSelected={setSelected}
          onLabel={(label) => change({ label })}
          onSearch={() => search.current?.focus()}
          onNoFilter={() => change(NO_FILTER)}
        />
      )}
      {runs.length > 0 && <BulkBar runs={runs} onClear={() => setSelected(new Set())} />}
    </main>
  );
}

interface TableProps {
  rows: Row[];
  more: boolean;
  isLoadingMore: boolean;
  loadMore: () => void;
  isLoading: boolean;
  selected: ReadonlySet<string>;
  onSelected: (selected: ReadonlySet<string>) => void;
  onLabel: (label: string) => void;
  onSearch: () => void;
  onNoFilter: () => void;
}

function Table({ rows, more, isLoadingMore, loadMore, isLoading, selected, onSelected, onLabel, onSearch, onNoFilter }: TableProps) {
  const scroller = useRef<HTMLDivElement>(null);
  const [current, setCurrent] = useState(-1);
  const place = useRef(-1); // keys may come faster than the page is drawn
  const [, navigate] = useLocation();
  const mayRun = useMay("run");
  const virtual = useVirtualizer({
    count: rows.length,
    getScrollElement: () => scroller.current,
    estimateSize: () => (NARROW.matches ? NARROW_HEIGHT : ROW_HEIGHT),
    getItemKey: (index) => rows[index]?.id ?? index,
    overscan: 12,
  });
  const items = virtual.getVirtualItems();
  const last = items.at(-1)?.index ?? -1;
  useEffect(() => {
    if (more && last >= rows.length - 10) {
      loadMore();
    }
  }, [more, last, rows.length, loadMore]);

  const toggle = useCallback(
    (run: RunView) => {
      const changed = new Set(selected);
      if (!changed.delete(run.run_id)) {
        changed.add(run.run_id);
      }
      onSelected(changed);
    },
    [selected, onSelected],
  );
  const move = (by: number): void => {
    const next = Math.max(0, Math.min(rows.length - 1, place.current + by));
    place.current = next;
    setCurrent(next);
    virtual.scrollToIndex(next);
    const focus = (): void => document.getElementById(`row-${next}`)?.focus({ preventScroll: true });
    focus();
    requestAnimationFrame(focus); // a row that was out of sight is there now
  };
  useShortcuts([
    { keys: "j", meaning: "Next row", run: () => move(1) },
    { keys: "k", meaning: "Previous row", run: () => move(-1) },
    {
      keys: "x",
      meaning: "Select the row",
      run: () => {
        const row = rows[place.current];
        if (mayRun && row?.kind === "run") {
          toggle(row.run);
        }
      },
    },
    {
      keys: "o",
      meaning: "Open the row (also Enter)",
      run: () => {
        const row = rows[place.current];
        if (row !== undefined) {
          navigate(row.kind === "run" ? runAddress(row.id) : `/runs?batch=${encodeURIComponent(row.id)}`);
        }
      },
    },
    { keys: "/", meaning: "Search", run: onSearch },
  ]);

  const loaded = rows.flatMap((row) => (row.kind === "run" ? [row.id] : []));
  const allSelected = loaded.length > 0 && loaded.every((id) => selected.has(id));
  if (!isLoading && rows.length === 0) {
    return (
      <div className="empty stack">
        <h1>No run matches</h1>
        <div>
          <button type="button" className="button" onClick={onNoFilter}>
            Show all runs
          </button>
        </div>
      </div>
    );
  }
  return (
    <div role="table" aria-label="Runs" aria-rowcount={more ? -1 : rows.length + 1} className="run-table">
      <div role="rowgroup">
        <div role="row" aria-rowindex={1} className="run-row run-head">
          <span role="columnheader" className="cell-select">
            {mayRun ? (
              <input
                type="checkbox"
                aria-label="Select all listed runs"
                checked={allSelected}
                onChange={() => onSelected(new Set(allSelected ? [] : loaded))}
              />
            ) : (
              <span className="visually-hidden">Selection</span>
            )}
          </span>
          <span role="columnheader" className="cell-state">
            State
          </span>
          <span role="columnheader" className="cell-name">
            Run
          </span>
          <span role="columnheader" className="cell-note">
            Note
          </span>
          <span role="columnheader" className="cell-progress">
            Progress
          </span>
          <span role="columnheader" className="cell-cost number">
            Cost
          </span>
          <span role="columnheader" className="cell-elapsed number">
            Time
          </span>
          <span role="columnheader" className="cell-time number">
            Started
          </span>
        </div>
      </div>
      <div ref={scroller} role="rowgroup" className="run-scroller" tabIndex={-1}>
        <div className="run-space" style={{ height: virtual.getTotalSize() }}>
          {items.map((item) => {
            const row = rows[item.index] as Row;
            return (
              <div key={item.key} role="presentation" className="run-place" style={{ transform: `translateY(${item.start}px)`, height: item.size }}>
                {row.kind === "run" ? (
                  <RunRow
                    run={row.run}
                    labels={row.labels}
                    number={row.number}
                    index={item.index}
                    isCurrent={item.index === current}
                    isSelected={selected.has(row.id)}
                    onSelect={mayRun ? toggle : null}
                    onLabel={onLabel}
                  />
                ) : (
                  <BatchRow batch={row.batch} index={item.index} isCurrent={item.index === current} />
                )}
              </div>
            );
          })}
        </div>
        <div className="run-end muted small">{isLoadingMore ? "Loading more…" : !more && rows.length > 20 && plural(rows.length, "row")}</div>
      </div>
    </div>
  );
}
