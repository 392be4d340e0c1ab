/** When the steps of a run worked and what they waited for, one row for each step. */
import { useQueries } from "@tanstack/react-query";
import { useVirtualizer } from "@tanstack/react-virtual";
import { ChevronRight, Maximize2, ZoomIn, ZoomOut } from "lucide-react";
import { type CSSProperties, memo, useCallback, useEffect, useMemo, useRef, useState } from "react";

import type { RunView } from "../../api/types";
import { duration } from "../../shared/format";
import { useNow } from "../../shared/now";
import { StateIcon } from "../../shared/State";
import { timelineQuery } from "../run_data";
import { useShownState } from "../run_state";
import type { Selection } from "../selection";
import { hasInside } from "../tree/tree_rows";
import { useOpen } from "../tree/useTree";
import type { Segment, StepRow, Timeline, TimelineRow } from "../types";
import { marks, place, type Scale, zoomed } from "./scale";

const HEIGHT = 28;

interface Row {
  row: StepRow;
  line: TimelineRow;
  depth: number;
  isOpen: boolean;
}

export function TimelineView({ run, selection }: { run: RunView; selection: Selection }) {
  const [open, toggle] = useOpen(run, selection);
  const withins = useMemo(() => ["", ...open], [open]);
  const levels = useQueries({
    queries: withins.map((within) => timelineQuery(run.run_id, within)),
    combine: useCallback(
      (results: { data: Timeline | undefined }[]) => new Map(results.flatMap(({ data }) => (data === undefined ? [] : [[data.within, data] as const]))),
      [],
    ),
  });
  const rows = useMemo(() => rowsOf(levels, open), [levels, open]);
  const top = levels.get("");
  if (top === undefined) {
    return <div className="timeline" aria-busy />;
  }
  return <Chart {...{ selection, rows, toggle, begin: top.begin, end: top.end }} />;
}

function rowsOf(levels: ReadonlyMap<string, Timeline>, open: ReadonlySet<string>): Row[] {
  const rows: Row[] = [];
  const add = (within: string, depth: number): void => {
    const level = levels.get(within);
    const lines = new Map(level?.rows.map((line) => [line.path, line]));
    for (const row of level?.steps ?? []) {
      const line = lines.get(row.path);
      if (line !== undefined) {
        const isOpen = open.has(row.path) && hasInside(row);
        rows.push({ row, line, depth, isOpen });
        if (isOpen) {
          add(row.path, depth + 1);
        }
      }
    }
  };
  add("", 0);
  return rows;
}

interface ChartProps {
  selection: Selection;
  rows: Row[];
  toggle: (path: string) => void;
  begin: number;
  end: number | null;
}

function Chart({ selection, rows, toggle, begin, end }: ChartProps) {
  const now = useNow();
  const isOver = end !== null;
  const last = Math.max(end ?? now, begin + 0.01);
  const whole: Scale = { from: 0, to: last - begin };
  const scale: Scale = selection.zoom === null ? whole : { from: selection.zoom[0], to: selection.zoom[1] };
  const scroller = useRef<HTMLDivElement>(null);
  const { change } = selection;
  const zoom = (factor: number, around = (scale.from + scale.to) / 2): void => change({ zoom: zoomed(scale, factor, around, whole) });
  useWheelZoom(scroller, (factor, share) => zoom(factor, scale.from + share * (scale.to - scale.from)));
  const virtual = useVirtualizer({
    count: rows.length,
    getScrollElement: () => scroller.current,
    estimateSize: () => HEIGHT,
    overscan: 10,
    getItemKey: (index) => rows[index]?.row.path ?? index,
  });
  return (
    <div className="timeline">
      <div className="timeline-tools">
        <Legend />
        <span className="grow" />
        <button type="button" className="button quiet icon" aria-label="Zoom in" onClick={() => zoom(0.5)}>
          <ZoomIn size={14} aria-hidden />
        </button>
        <button type="button" className="button quiet icon" aria-label="Zoom out" disabled={selection.zoom === null} onClick={() => zoom(2)}>
          <ZoomOut size={14} aria-hidden />
        </button>
        <button
          type="button"
          className="button quiet icon"
          aria-label="Show the whole run"
          disabled={selection.zoom === null}
          onClick={() => change({ zoom: null })}
        >
          <Maximize2 size={14} aria-hidden />
        </button>
      </div>
      <Axis scale={scale} onBrush={(from, to) => change({ zoom: [from, to] })} />
      <div ref={scroller} className="timeline-scroll" tabIndex={0} role="group" aria-label="Steps over time">
        <div className="timeline-rows" style={{ height: virtual.getTotalSize() }}>
          {virtual.getVirtualItems().map((item) => {
            const each = rows[item.index];
            return each === undefined ? null : (
              <Line
                key={item.key}
                {...each}
                top={item.start}
                begin={begin}
                now={isOver ? last : now}
                from={scale.from}
                to={scale.to}
                isSelected={each.row.path === selection.step}
                change={change}
                toggle={toggle}
              />
            );
          })}
          {!isOver && now - begin <= scale.to + 1 && (
            <div className="timeline-now-area">
              <div className="timeline-now" style={{ left: `${Math.min(100, place(scale, now - begin))}%` }} />
            </div>
          )}
        </div>
      </div>
    </div>
  );
}

/** Zooms with the wheel while Ctrl is pressed, as browsers do; without it the wheel scrolls. */
function useWheelZoom(element: React.RefObject<HTMLElement | null>, zoom: (factor: number, share: number) => void): void {
  const current = useRef(zoom);
  current.current = zoom;
  useEffect(() => {
    const target = element.current;
    const turned = (event: WheelEvent): void => {
      if (!event.ctrlKey && !event.metaKey) {
        return;
      }
      event.preventDefault();
      const track = target?.querySelector(".timeline-track")?.getBoundingClientRect();
      if (track !== undefined) {
        current.current(event.deltaY > 0 ? 1.25 : 0.8, Math.max(0, Math.min(1, (event.clientX - track.left) / track.width)));
      }
    };
    target?.addEventListener("wheel", turned, { passive: false });
    return () => target?.removeEventListener("wheel", turned);
  }, [element]);
}

/** Beyond this share of the width, in percent, there is no room for the words of a mark. */
const LAST_WORDS = 92;

/** The axis, on which a part can be chosen with the pointer. */
function Axis({ scale, onBrush }: { scale: Scale; onBrush: (from: number, to: number) => void }) {
  const track = useRef<HTMLDivElement>(null);
  const [brush, setBrush] = useState<[number, number] | null>(null);
  const shareAt = (x: number): number => {
    const box = track.current?.getBoundingClientRect();
    return box === undefined ? 0 : Math.max(0, Math.min(1, (x - box.left) / box.width));
  };
  const at = (share: number): number => scale.from + share * (scale.to - scale.from);
  return (
    <div className="timeline-axis">
      <span className="muted small">Drag to zoom</span>
      <div
        ref={track}
        className="timeline-track"
        onPointerDown={(event) => {
          event.currentTarget.setPointerCapture(event.pointerId);
          setBrush([shareAt(event.clientX), shareAt(event.clientX)]);
        }}
        onPointerMove={(event) => brush !== null && setBrush([brush[0], shareAt(event.clientX)])}
        onPointerUp={() => {
          if (brush !== null && Math.abs(brush[1] - brush[0]) > 0.01) {
            onBrush(at(Math.min(...brush)), at(Math.max(...brush)));
          }
          setBrush(null);
        }}
      >
        {marks(scale).map((seconds) => (
          <span key={seconds} className="timeline-mark muted small" style={{ left: `${place(scale, seconds)}%` }}>
            {place(scale, seconds) > LAST_WORDS ? "" : seconds === 0 ? "0" : duration(seconds)}
          </span>
        ))}
        {brush !== null && (
          <span
            className="timeline-brush"
            style={{ left: `${Math.min(...brush) * 100}%`, width: `${Math.abs(brush[1] - brush[0]) * 100}%` }}
          />
        )}
      </div>
    </div>
  );
}

interface LineProps extends Row {
  top: number;
  begin: number;
  now: number;
  from: number;
  to: number;
  isSelected: boolean;
  change: Selection["change"];
  toggle: (path: string) => void;
}

const Line = memo(function Line({ row, line, depth, isOpen, top, begin, now, from, to, isSelected, change, toggle }: LineProps) {
  const scale = { from, to };
  const state = useShownState(row);
  return (
    <div
      className="timeline-row"
      data-path={row.path}
      aria-current={isSelected}
      style={{ transform: `translateY(${top}px)`, "--depth": depth } as CSSProperties}
      onClick={() => change({ step: row.path })}
    >
      <div className="timeline-name">
        {hasInside(row) ? (
          <button
            type="button"
            className="toggle"
            aria-label={`${isOpen ? "Close" : "Open"} ${row.id}`}
            aria-expanded={isOpen}
            onClick={(event) => {
              event.stopPropagation();
              toggle(row.path);
            }}
          >
            <ChevronRight size={14} aria-hidden className={isOpen ? "turned" : undefined} />
          </button>
        ) : (
          <span className="toggle" />
        )}
        <StateIcon state={state} waitsFor={row.reason} />
        <button type="button" className="link truncate" onClick={() => change({ step: row.path })}>
          {row.name || row.id}
        </button>
        {line.critical && <span className="visually-hidden">on the critical path</span>}
      </div>
      <div className="timeline-track">
        {line.segments.map((segment, index) => (
          <Part key={index} {...{ segment, scale, begin, now, critical: line.critical, row, isBelow: line.band !== null }} />
        ))}
        {line.band !== null && <Band band={line.band} scale={scale} begin={begin} />}
      </div>
    </div>
  );
});

const WORDS: Record<Segment["kind"], string> = {
  attempt: "attempt",
  steps: "steps inside",
  place: "waits for a free place",
  retry: "waits for the next attempt",
  limit: "waits for a limit",
  person: "waits for a person",
  time: "waits for a time",
  handler: "error handler",
};

function Part({
  segment,
  scale,
  begin,
  now,
  critical,
  row,
  isBelow,
}: {
  segment: Segment;
  scale: Scale;
  begin: number;
  now: number;
  critical: boolean;
  row: StepRow;
  /** Whether it is drawn below the band of a loop. */
  isBelow: boolean;
}) {
  const end = segment.end ?? now;
  const left = Math.max(0, place(scale, segment.begin - begin));
  const right = Math.min(100, place(scale, end - begin));
  if (right < 0 || left > 100) {
    return null;
  }
  const works = segment.kind === "attempt" || segment.kind === "steps";
  const state = works ? segment.outcome || (segment.end === null ? "running" : row.state) : segment.kind;
  const words = [
    works && segment.attempt > 1 ? `attempt ${segment.attempt}` : WORDS[segment.kind],
    segment.kind === "limit" && segment.text,
    segment.outcome,
    duration(end - segment.begin),
  ];
  return (
    <span
      className={`part ${isBelow ? "below" : ""} ${segment.kind} ${state} ${segment.forgotten ? "forgotten" : ""} ${critical && works && !segment.forgotten ? "critical" : ""}`}
      style={{ left: `${left}%`, width: `${Math.max(0, right - left)}%` }}
      title={words.filter(Boolean).join(", ")}
    />
  );
}

/** A band that is narrower than this share of the width, in percent, is not drawn. */
const NARROW = 8;

function Band({ band, scale, begin }: { band: NonNullable<TimelineRow["band"]>; scale: Scale; begin: number }) {
  const most = Math.max(1, ...band.ended);
  const bins = band.ended.length;
  const left = place(scale, band.begin - begin);
  const width = place(scale, band.end - begin) - left;
  const total = band.ended.reduce((sum, each) => sum + each, 0);
  const failed = band.failed.reduce((sum, each) => sum + each, 0);
  if (width < NARROW) {
    return null; // the bar of the loop says the same
  }
  return (
    <svg
      className="band"
      viewBox={`0 0 ${bins} 1`}
      preserveAspectRatio="none"
      style={{ left: `${left}%`, width: `${width}%` }}
      role="img"
      aria-label={`${total} items ended, ${failed} of them failed`}
    >
      {band.ended.map((ended, index) => {
        const bad = band.failed[index] ?? 0;
        const height = ended === 0 ? 0 : Math.max(0.12, Math.sqrt(ended / most));
        const share = ended === 0 ? 0 : bad / ended;
        return ended === 0 ? null : (
          <g key={index}>
            <rect x={index} y={1 - height} width={1.02} height={height} className="band-ended" />
            {bad > 0 && <rect x={index} y={1 - Math.max(0.2, height * share)} width={1.02} height={Math.max(0.2, height * share)} className="band-failed" />}
          </g>
        );
      })}
    </svg>
  );
}

function Legend() {
  return (
    <div className="row wrap legend small muted" aria-label="Legend" role="group">
      {(["place", "retry", "limit", "person", "time"] as const).map((kind) => (
        <span key={kind} className="row">
          <span className={`part ${kind} sample`} aria-hidden />{" "}
          {{ place: "free place", retry: "retry", limit: "rate limit", person: "person", time: "time" }[kind]}
        </span>
      ))}
      <span className="row">
        <span className="part attempt succeeded critical sample" aria-hidden /> critical path
      </span>
    </div>
  );
}
