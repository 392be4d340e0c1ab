/** The steps of a run as a tree table. Only the rows in view are in the page, so that 100,000 of them are as quick as ten. */
import { useVirtualizer } from "@tanstack/react-virtual";
import { ChevronRight, Database, LoaderCircle, TriangleAlert } from "lucide-react";
import { type CSSProperties, memo, useContext, useEffect, useMemo, useRef } from "react";

import type { RunView } from "../../api/types";
import { cost, count, duration } from "../../shared/format";
import { useShortcuts } from "../../shared/keys";
import { useNow } from "../../shared/now";
import { type AnyState, StateIcon, stepWords } from "../../shared/State";
import { PAGE } from "../run_data";
import { StoppedContext, useShownState } from "../run_state";
import type { Selection } from "../selection";
import type { StepRow } from "../types";
import { hasInside, numberOf, type TreeRow } from "./tree_rows";
import { useTree } from "./useTree";

const HEIGHT = 32;

export function StepTable({ run, selection }: { run: RunView; selection: Selection }) {
  const tree = useTree(run, selection);
  const { rows, toggle, more } = tree;
  const scroller = useRef<HTMLDivElement>(null);
  const virtual = useVirtualizer({
    count: rows.length,
    getScrollElement: () => scroller.current,
    estimateSize: () => HEIGHT,
    overscan: 12,
    getItemKey: (index) => rows[index]?.key ?? index,
  });
  const place = useMemo(() => rows.findIndex((each) => each.kind === "step" && each.row.path === selection.step), [rows, selection.step]);
  const shown = useRef("");
  useEffect(() => {
    // A step that is selected elsewhere, or by the address, is brought into view once; afterwards the place is the user's.
    if (place >= 0 && tree.isRead && shown.current !== selection.step) {
      shown.current = selection.step;
      virtual.scrollToIndex(place);
    }
  }, [place, tree.isRead, selection.step, virtual]);
  const { change } = selection;
  const select = (path: string): void => {
    shown.current = path;
    change({ step: path });
  };
  const go = (by: number): void => {
    let next = place < 0 ? (by > 0 ? 0 : rows.length - 1) : place + by;
    while (rows[next] !== undefined && rows[next]?.kind !== "step") {
      next += by;
    }
    const row = rows[next];
    if (row?.kind === "step") {
      select(row.row.path);
      virtual.scrollToIndex(next);
    }
  };
  const current = rows[place];
  useShortcuts([
    { keys: "j", meaning: "Next step", run: () => go(1) },
    { keys: "k", meaning: "Previous step", run: () => go(-1) },
    {
      keys: "o",
      meaning: "Open or close what is inside the selected step",
      run: () => {
        if (current?.kind === "step" && hasInside(current.row)) {
          toggle(current.row.path);
        }
      },
    },
  ]);
  const isReading = rows.length === 1 && rows[0]?.kind === "reading";
  if (rows.length === 0) {
    return <p className="muted steps-none">No step is {selection.filter}.</p>;
  }
  return (
    <div className={run.model_calls > 0 ? "steps" : "steps no-models"} role="treegrid" aria-label="Steps" aria-rowcount={rows.length + 1} aria-busy={isReading}>
      <div role="rowgroup">
        <div className="step-row steps-head" role="row" aria-rowindex={1}>
          <div role="columnheader">Step</div>
          <div role="columnheader">State</div>
          <div role="columnheader" className="number">
            Time
          </div>
          <div role="columnheader" className="number">
            Tokens
          </div>
          <div role="columnheader" className="number">
            Cost
          </div>
        </div>
      </div>
      <div ref={scroller} className="steps-scroll" role="rowgroup">
        <div role="presentation" className="steps-body" style={{ height: virtual.getTotalSize() }}>
          {virtual.getVirtualItems().map((item) => {
            const row = rows[item.index];
            return row === undefined ? null : (
              <Line
                key={item.key}
                row={row}
                index={item.index}
                top={item.start}
                isSelected={row.kind === "step" && row.row.path === selection.step}
                of={row.kind === "step" ? totalOf(run, row.row.path) : null}
                onSelect={select}
                onToggle={toggle}
                onMore={more}
              />
            );
          })}
        </div>
      </div>
    </div>
  );
}

interface LineProps {
  row: TreeRow;
  index: number;
  top: number;
  isSelected: boolean;
  /** Of a loop that runs, how many items it has, if that is known. */
  of: number | null;
  onSelect: (path: string) => void;
  onToggle: (path: string) => void;
  onMore: (within: string, first: number) => void;
}

/** Returns how many items a loop has that runs, if that is known: its row counts those that have started. */
export function totalOf(run: RunView, path: string): number | null {
  return run.active.find((step) => step.path === path)?.of ?? null;
}

const Line = memo(function Line({ row, index, top, isSelected, of, onSelect, onToggle, onMore }: LineProps) {
  const style = { transform: `translateY(${top}px)`, "--depth": row.depth } as CSSProperties;
  const shared = { style, role: "row", "aria-rowindex": index + 2, "aria-level": row.depth + 1 };
  switch (row.kind) {
    case "gap":
      return (
        <div {...shared} className="step-row line">
          <div role="gridcell" className="step-name">
            <button type="button" className="button quiet" onClick={() => onMore(row.within, row.first)}>
              {row.count > PAGE ? `Show ${PAGE} of ${count(row.count)} more` : `Show ${count(row.count)} more`}
            </button>
          </div>
        </div>
      );
    case "heading":
      return (
        <div {...shared} className="step-row line muted small">
          <div role="gridcell" className="step-name step-heading">
            {row.text}
          </div>
        </div>
      );
    case "reading":
      return (
        <div {...shared} className="step-row line muted">
          <div role="gridcell" className="step-name">
            <LoaderCircle size={14} className="turning" aria-hidden /> Reading
          </div>
        </div>
      );
    default:
      return <Step {...{ shared, row: row.row, isOpen: row.isOpen, isSelected, of, onSelect, onToggle }} />;
  }
});

function Step({
  shared,
  row,
  isOpen,
  isSelected,
  of,
  onSelect,
  onToggle,
}: {
  shared: object;
  row: StepRow;
  isOpen: boolean;
  isSelected: boolean;
  of: number | null;
  onSelect: (path: string) => void;
  onToggle: (path: string) => void;
}) {
  const opens = hasInside(row);
  const state = useShownState(row);
  const tokens = row.usage.input + row.usage.output;
  return (
    <div
      {...shared}
      className={`step-row line ${state}`}
      data-path={row.path}
      aria-selected={isSelected}
      aria-expanded={opens ? isOpen : undefined}
      onClick={() => onSelect(row.path)}
    >
      <div role="gridcell" className="step-name">
        {opens ? (
          <button
            type="button"
            className="toggle"
            aria-label={`${isOpen ? "Close" : "Open"} ${row.id}`}
            onClick={(event) => {
              event.stopPropagation();
              onToggle(row.path);
            }}
          >
            <ChevronRight size={14} aria-hidden className={isOpen ? "turned" : undefined} />
          </button>
        ) : (
          <span className="toggle" />
        )}
        <StateIcon state={state} waitsFor={row.reason} />
        <button type="button" className="link truncate" onClick={() => onSelect(row.path)}>
          {row.kind === "item" || row.path.endsWith("]") ? `${numberOf(row.path)}` : row.name || row.id}
        </button>
        <span className="muted small truncate what">{row.what}</span>
        {row.warnings > 0 && <TriangleAlert size={12} className="warns" aria-label={`${row.warnings} warnings`} />}
        {row.cached && <Database size={12} className="muted" aria-label="from the cache" />}
      </div>
      <div role="gridcell" className="truncate">
        <StateWords row={row} of={of} />
      </div>
      <div role="gridcell" className="number">
        <Took row={row} />
      </div>
      <div role="gridcell" className="number muted">
        {tokens > 0 ? count(tokens) : ""}
      </div>
      <div role="gridcell" className="number muted">
        {cost(row)}
      </div>
    </div>
  );
}

/** The state in a word; of a loop, how its items stand, with how many there are, if that is known. */
export function StateWords({ row, of }: { row: StepRow; of: number | null }) {
  const state = useShownState(row);
  const { failed = 0, succeeded = 0, running = 0 } = row.counts as Record<string, number>;
  if ((row.kind === "for_each" || row.kind === "while" || row.kind === "until") && row.state !== "pending" && row.inside !== null) {
    const words = [failed > 0 && `${count(failed)} failed`, running > 0 && `${count(running)} running`, `${count(succeeded)} done`];
    const text = words.filter(Boolean).join(", ") + (of !== null ? ` of ${count(of)}` : "");
    return (
      <span className="row loop-state" title={text}>
        <LoopBar counts={row.counts} of={of} />
        <span className={failed > 0 ? "state failed truncate" : "muted truncate"}>{text}</span>
      </span>
    );
  }
  const words = stepWords(state, row.reason);
  return <StateText state={state} text={row.attempts > 1 && words === state ? `${state}, attempt ${row.attempts}` : words} />;
}

function StateText({ state, text }: { state: AnyState; text: string }) {
  return <span className={`state ${state}`}>{text}</span>;
}

export function LoopBar({ counts, of }: { counts: Record<string, number>; of: number | null }) {
  const all = Math.max(of ?? 0, Object.values(counts).reduce((sum, each) => sum + each, 0));
  return (
    <span className="bar loop-bar" aria-hidden>
      {["failed", "running", "waiting", "succeeded"].map((state) => {
        const share = all === 0 ? 0 : (counts[state] ?? 0) / all;
        return share === 0 ? null : <span key={state} className={state} style={{ width: `${100 * share}%`, minWidth: 2 }} />;
      })}
    </span>
  );
}

export function Took({ row }: { row: StepRow }) {
  const stopped = useContext(StoppedContext);
  if (stopped && row.state === "running") {
    return null;
  }
  if ((row.state === "running" || row.state === "waiting") && row.started_at !== null) {
    return <Since at={row.started_at} />;
  }
  if (row.ended_at === null) {
    return null;
  }
  return <>{duration(row.started_at === null ? row.duration : row.ended_at - row.started_at)}</>;
}

function Since({ at }: { at: number }) {
  const now = useNow();
  return <>{duration(Math.max(0, now - at))}</>;
}

