/** The steps of a run as a graph: frames fold, edges say what they mean, and the text is never too small to read. */
import {
  Background,
  BackgroundVariant,
  Controls,
  type Edge,
  MarkerType,
  MiniMap,
  type Node,
  Position,
  ReactFlow,
  ReactFlowProvider,
  useReactFlow,
} from "@xyflow/react";
import "@xyflow/react/dist/base.css";
import { useQueries, useQuery } from "@tanstack/react-query";
import { useCallback, useEffect, useLayoutEffect, useMemo, useRef, useState } from "react";

import type { RunView } from "../../api/types";
import { ProblemNotice } from "../../shared/ProblemNotice";
import { levelQuery, planQuery } from "../run_data";
import type { Selection } from "../selection";
import type { Plan, PlanEdge, PlanNode, StepRow, StepTree } from "../types";
import { FOLDED_FROM, HEIGHT, layout, type Placed, type PlacedEdge, WIDTH } from "./layout";
import { RoutedEdge, type RoutedEdgeData } from "./RoutedEdge";
import { type StepNodeData, StepNode } from "./StepNode";
import "./graph.css";

const NODE_TYPES = { step: StepNode };
const EDGE_TYPES = { routed: RoutedEdge };
/** The least zoom at which the text of 13 pixels has 12. */
const READABLE = 0.93;
/** The part of a step that undoes it. */
const UNDO = "undo";
const LOOPS = new Set(["for_each", "while", "until", "agent"]);

export function GraphView({ run, selection }: { run: RunView; selection: Selection }) {
  const plan = useQuery(planQuery(run.run_id));
  useQuery(levelQuery(run.run_id, "", 0)); // read at the same time
  if (plan.data === undefined) {
    return plan.isError ? <ProblemNotice error={plan.error} /> : <div className="graph" aria-busy />;
  }
  return (
    <ReactFlowProvider>
      <Graph run={run} selection={selection} plan={plan.data} />
    </ReactFlowProvider>
  );
}

/** The frames whose steps are shown: of a small plan all but loops and undos, of a large one none; then as chosen. */
function useFrames(plan: Plan): [ReadonlySet<string>, (path: string) => void] {
  const [open, setOpen] = useState<ReadonlySet<string>>(() => {
    const shown = new Set(plan.nodes.filter((node) => node.section !== UNDO).map((node) => node.parent));
    const frames = plan.nodes.filter((node) => shown.has(node.path) && !LOOPS.has(node.kind));
    return new Set(plan.nodes.length > FOLDED_FROM ? [] : frames.map((node) => node.path));
  });
  const toggle = useCallback(
    (path: string) =>
      setOpen((current) => {
        const next = new Set(current);
        if (!next.delete(path)) {
          next.add(path);
        }
        return next;
      }),
    [],
  );
  return [open, toggle];
}

function Graph({ run, selection, plan }: { run: RunView; selection: Selection; plan: Plan }) {
  const [open, toggle] = useFrames(plan);
  const container = useRef<HTMLDivElement>(null);
  const room = useRoom(container);
  const placed = useMemo(() => layout(plan, open, room), [plan, open, room]);
  const rows = useRows(run, open);
  const { change } = selection;
  const totals = useTotals(run);
  const nodes = useMemo(
    () => placed.nodes.map((each) => nodeOf(each, rows, totals, selection.step, toggle, change)),
    [placed, rows, totals, selection.step, toggle, change],
  );
  const edges = useMemo(() => {
    const heights = new Map(placed.nodes.map((each) => [each.node.path, each.height]));
    return placed.edges.map((each) => edgeOf(each, heights, rows));
  }, [placed, rows]);
  const isLarge = placed.height > 900 || placed.width > 1400;
  return (
    <div className="graph">
      <div ref={container} className="graph-canvas">
        <ReactFlow
          nodes={nodes}
          edges={edges}
          nodeTypes={NODE_TYPES}
          edgeTypes={EDGE_TYPES}
          nodesDraggable={false}
          nodesConnectable={false}
          edgesFocusable={false}
          elementsSelectable={false}
          onNodeClick={(_, node) => !node.id.includes("[*]") && change({ step: node.id, tab: "" })}
          panOnScroll
          zoomOnDoubleClick={false}
          minZoom={0.1}
          maxZoom={1.5}
          onlyRenderVisibleElements={placed.nodes.length > 100}
          proOptions={{ hideAttribution: true }}
          aria-label="Graph of the steps"
        >
          <Background variant={BackgroundVariant.Dots} gap={24} size={1} />
          <Controls showInteractive={false} orientation="horizontal" position="bottom-left" />
        </ReactFlow>
        {room > 0 && <FirstView container={container} width={placed.width} nodes={placed.nodes} selected={selection.step} />}
      </div>
      <div className="graph-foot">
        <Legend />
        {isLarge && <MiniMap pannable className="graph-map" ariaLabel="Overview of the graph" nodeClassName={(node) => `map ${(node.data as unknown as StepNodeData).state}`} />}
      </div>
    </div>
  );
}

const MARGIN = 24;
/** The width is measured in steps of so many pixels, so that the layout does not move with each of them. */
const ROUNDED = 80;

/** How wide the graph may be to fit at a readable size; 0 before that is known. */
function useRoom(container: React.RefObject<HTMLDivElement | null>): number {
  const [room, setRoom] = useState(0);
  useLayoutEffect(() => {
    const measure = (): void => {
      const width = Math.floor(((container.current?.clientWidth ?? 0) - 2 * MARGIN) / READABLE);
      setRoom((known) => (Math.abs(known - width) < ROUNDED ? known : width));
    };
    measure();
    window.addEventListener("resize", measure);
    return () => window.removeEventListener("resize", measure);
  }, [container]);
  return room;
}

/** Shows the graph from its top, as wide as it fits at a readable size; a selected step is brought into view once. */
function FirstView({
  container,
  width,
  nodes,
  selected,
}: {
  container: React.RefObject<HTMLDivElement | null>;
  width: number;
  nodes: Placed[];
  selected: string;
}) {
  const flow = useReactFlow();
  const done = useRef(false);
  useEffect(() => {
    const box = container.current?.getBoundingClientRect();
    if (done.current || box === undefined || box.width === 0) {
      return;
    }
    done.current = true;
    const zoom = Math.max(READABLE, Math.min(1, (box.width - 2 * MARGIN) / width));
    const shape = shapeOf(selected);
    const target = selected === "" ? undefined : absolute(nodes, shape);
    const x = Math.max(MARGIN, (box.width - width * zoom) / 2);
    if (target !== undefined && (target.y > box.height / zoom - 100 || target.x > box.width / zoom - 100)) {
      void flow.setViewport({ x: box.width / 2 - target.x * zoom, y: box.height / 2 - target.y * zoom, zoom });
    } else {
      void flow.setViewport({ x, y: MARGIN, zoom });
    }
  }, [container, flow, nodes, selected, width]);
  return null;
}

function absolute(nodes: Placed[], path: string): { x: number; y: number } | undefined {
  const known = new Map(nodes.map((each) => [each.node.path, each]));
  let each = known.get(path);
  if (each === undefined) {
    return undefined;
  }
  let { x, y } = each;
  for (each = known.get(each.node.parent); each !== undefined; each = known.get(each.node.parent)) {
    x += each.x;
    y += each.y;
  }
  return { x: x + WIDTH / 2, y: y + HEIGHT / 2 };
}

/** The path of a step as plans have it: without the numbers of items. */
function shapeOf(path: string): string {
  return path.replace(/(?<!on_error|error_handlers)\[\d+\]/g, "[*]");
}

/** The rows of the steps that are shown, by path. Inside of a loop there are many of each, so none. */
function useRows(run: RunView, open: ReadonlySet<string>): ReadonlyMap<string, StepRow> {
  const withins = useMemo(() => ["", ...[...open].filter((path) => !path.includes("[*]"))], [open]);
  const rows = useLevels(run, withins);
  // The steps of these blocks are drawn in the frame that has the block, and are recorded one level deeper.
  const blocks = useMemo(() => [...rows.keys()].filter((path) => /(^|\.)(undo|finally)$/.test(path)), [rows]);
  const inner = useLevels(run, blocks);
  return useMemo(() => new Map([...rows, ...inner]), [rows, inner]);
}

function useLevels(run: RunView, withins: string[]): ReadonlyMap<string, StepRow> {
  return useQueries({
    queries: withins.map((within) => levelQuery(run.run_id, within, 0)),
    combine: useCallback((results: { data: StepTree | undefined }[]) => {
      const rows = results.flatMap(({ data }) => (data === undefined || data.is_loop ? [] : data.rows));
      return new Map(rows.map((row) => [row.path, row]));
    }, []),
  });
}

/** The state of a step without a row: of a case that was not chosen, it is skipped, as of a handler that was not needed. */
function stateWithout(node: PlanNode, rows: ReadonlyMap<string, StepRow>): StepNodeData["state"] {
  if (rows.size === 0 || node.path.includes("[*]")) {
    return "each";
  }
  const around = rows.get(node.parent);
  const isRead = [...rows.keys()].some((path) => path.startsWith(`${node.parent}.`));
  return around !== undefined && around.ended_at !== null && isRead && node.section !== UNDO ? "skipped" : "pending";
}

/** How many items the loops have that run, as far as that is known, by their paths. */
function useTotals(run: RunView): ReadonlyMap<string, number> {
  const text = JSON.stringify(run.active.filter((step) => step.of !== null && LOOPS.has(step.kind)).map((step) => [step.path, step.of]));
  return useMemo(() => new Map(JSON.parse(text) as [string, number][]), [text]);
}

function nodeOf(
  each: Placed,
  rows: ReadonlyMap<string, StepRow>,
  totals: ReadonlyMap<string, number>,
  selected: string,
  toggle: (path: string) => void,
  change: Selection["change"],
): Node {
  const { node } = each;
  const row = rows.get(node.path);
  const data: StepNodeData = {
    node,
    row,
    state: row?.state ?? stateWithout(node, rows),
    of: totals.get(node.path) ?? null,
    isOpen: each.isOpen,
    isSelected: selected !== "" && shapeOf(selected) === node.path,
    toggle,
    change,
  };
  return {
    id: node.path,
    type: "step",
    position: { x: each.x, y: each.y },
    width: each.width,
    height: each.height,
    // Where edges meet it: what is known is not measured, so that steps out of sight are not drawn.
    measured: { width: each.width, height: each.height },
    handles: [
      { type: "target", position: Position.Top, x: each.width / 2, y: 0, width: 1, height: 1 },
      { type: "source", position: Position.Bottom, x: each.width / 2, y: each.height, width: 1, height: 1 },
    ],
    data: data as unknown as Record<string, unknown>,
    ...(node.parent !== "" && { parentId: node.parent }),
    draggable: false,
    selectable: false,
    focusable: false,
  };
}

const LABELS: Record<PlanEdge["kind"], string> = { value: "", order: "", on_success: "on success", on_false: "if false", on_failure: "on failure" };

function edgeOf({ edge, points }: PlacedEdge, heights: ReadonlyMap<string, number>, rows: ReadonlyMap<string, StepRow>): Edge {
  const data: RoutedEdgeData = { points, label: LABELS[edge.kind], sourceHeight: heights.get(edge.source) ?? HEIGHT };
  const isPale = rows.get(edge.target)?.state === "skipped";
  return {
    id: `${edge.source} ${edge.kind} ${edge.target}`,
    source: edge.source,
    target: edge.target,
    type: "routed",
    data: data as unknown as Record<string, unknown>,
    className: `edge ${edge.kind} ${isPale ? "pale" : ""}`,
    markerEnd: { type: MarkerType.ArrowClosed, width: 14, height: 14, color: "var(--edge)" },
  };
}

function Legend() {
  return (
    <div className="row wrap small muted legend" role="group" aria-label="Legend">
      <span className="row">
        <span className="edge-sample value" aria-hidden /> reads its value
      </span>
      <span className="row">
        <span className="edge-sample order" aria-hidden /> only runs after it
      </span>
      <span className="row">
        <span className="edge-sample jump" aria-hidden /> jumps
      </span>
    </div>
  );
}
