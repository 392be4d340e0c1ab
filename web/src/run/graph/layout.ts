/** Where the steps of a plan stand: each frame is laid out by itself, so a frame that opens moves nothing inside others. */
import { graphlib, layout as dagre } from "@dagrejs/dagre";

import type { Plan, PlanEdge, PlanNode } from "../types";

export const WIDTH = 200;
export const HEIGHT = 56;
const HEAD = 40;
const PADDING = 16;
const GAP_X = 24;
const GAP_Y = 40;
/** How many times wider than its room a block may be: up to that it is scrolled, beyond that its rows are wrapped. */
const MOST_SCREENS = 4;
/** Blocks with more steps are laid out in rows, which takes milliseconds where lines around steps would take seconds. */
const MANY = 120;
/** Plans with more steps than this have their frames folded at first. */
export const FOLDED_FROM = 20;

export interface Placed {
  node: PlanNode;
  x: number;
  y: number;
  width: number;
  height: number;
  /** Whether the steps inside are shown. */
  isOpen: boolean;
}

export interface Point {
  x: number;
  y: number;
}

/** An edge, with the points between its ends that lead it around other steps, relative to the middle of its source. */
export interface PlacedEdge {
  edge: PlanEdge;
  points: Point[];
}

export interface GraphLayout {
  nodes: Placed[];
  edges: PlacedEdge[];
  width: number;
  height: number;
}

interface Box {
  width: number;
  height: number;
}

/**
 * Returns the layout. `open` are the paths of the frames whose steps are shown; positions are relative to the frame.
 *
 * Steps side by side that are wider together than `most` are put into several rows, so that they fit at a readable size.
 */
export function layout(plan: Plan, open: ReadonlySet<string>, most: number): GraphLayout {
  const inside = new Map<string, PlanNode[]>();
  for (const node of plan.nodes) {
    inside.set(node.parent, [...(inside.get(node.parent) ?? []), node]);
  }
  const blocks = new Map<string, PlanEdge[]>();
  const parents = new Map(plan.nodes.map((node) => [node.path, node.parent]));
  for (const edge of plan.edges) {
    const parent = parents.get(edge.target) ?? "";
    blocks.set(parent, [...(blocks.get(parent) ?? []), edge]);
  }
  const placed: Placed[] = [];
  const shown: PlacedEdge[] = [];
  const frame = (parent: string, room: number): Box => {
    const nodes = inside.get(parent) ?? [];
    const sizes = new Map<string, Box & { isOpen: boolean }>();
    for (const node of nodes) {
      const isOpen = node.inside > 0 && open.has(node.path);
      const inner = isOpen ? frame(node.path, room - 2 * PADDING) : { width: WIDTH, height: HEIGHT };
      sizes.set(node.path, { ...inner, isOpen });
    }
    const edges = essential(nodes, blocks.get(parent) ?? []);
    const at = arranged(nodes, edges, sizes, Math.max(room, WIDTH));
    shown.push(...edges.map((edge) => ({ edge, points: at.points.get(keyOf(edge)) ?? [] })));
    const left = parent === "" ? 0 : PADDING;
    const top = parent === "" ? 0 : HEAD;
    for (const node of nodes) {
      const size = sizes.get(node.path) ?? { width: WIDTH, height: HEIGHT, isOpen: false };
      const { x, y } = at.positions.get(node.path) ?? { x: 0, y: 0 };
      placed.push({ node, x: left + x, y: top + y, ...size });
    }
    return parent === ""
      ? { width: at.width, height: at.height }
      : { width: Math.max(WIDTH, at.width + 2 * PADDING), height: at.height + HEAD + PADDING };
  };
  const whole = frame("", most);
  // A frame comes before what is inside it, as the drawing library demands.
  const depth = (path: string): number => (path === "" ? 0 : 1 + depth(parents.get(path) ?? ""));
  placed.sort((one, other) => depth(one.node.path) - depth(other.node.path));
  return { nodes: placed, edges: shown, ...whole };
}

/** Leaves out declared orders that other edges imply: in a block with many steps they would hide the rest. */
function essential(nodes: PlanNode[], edges: PlanEdge[]): PlanEdge[] {
  if (edges.length > 600) {
    return edges;
  }
  const next = new Map<string, string[]>();
  for (const edge of edges) {
    next.set(edge.source, [...(next.get(edge.source) ?? []), edge.target]);
  }
  const place = new Map(nodes.map((node, index) => [node.path, index]));
  const reaches = (from: string, to: string): boolean => {
    const last = place.get(to) ?? Infinity;
    const seen = new Set<string>();
    const waiting = (next.get(from) ?? []).filter((path) => path !== to);
    for (let path = waiting.pop(); path !== undefined; path = waiting.pop()) {
      if (path === to) {
        return true;
      }
      if (!seen.has(path) && (place.get(path) ?? 0) <= last) {
        seen.add(path);
        waiting.push(...(next.get(path) ?? []));
      }
    }
    return false;
  };
  return edges.filter((edge) => edge.kind !== "order" || !reaches(edge.source, edge.target));
}

interface Arranged extends Box {
  positions: Map<string, Point>;
  points: Map<string, Point[]>;
}

function keyOf(edge: { source: string; target: string }): string {
  return `${edge.source} ${edge.target}`;
}

function arranged(nodes: PlanNode[], edges: PlanEdge[], sizes: ReadonlyMap<string, Box>, room: number): Arranged {
  const widest = Math.max(MOST_SCREENS * room, 1);
  if (nodes.length > MANY) {
    return wrapped(ranked(nodes, edges, sizes), widest);
  }
  const graph = new graphlib.Graph();
  graph.setGraph({ rankdir: "TB", nodesep: GAP_X, ranksep: GAP_Y });
  graph.setDefaultEdgeLabel(() => ({}));
  for (const node of nodes) {
    graph.setNode(node.path, { ...(sizes.get(node.path) ?? { width: WIDTH, height: HEIGHT }) });
  }
  for (const edge of edges) {
    if (graph.hasNode(edge.source) && graph.hasNode(edge.target)) {
      graph.setEdge(edge.source, edge.target);
    }
  }
  dagre(graph);
  const drawn = asDrawn(graph);
  return drawn.width <= widest ? drawn : wrapped(ranked(nodes, edges, sizes), room);
}

interface Ranked extends Box {
  path: string;
}

/** Returns the ranks: each step is one below the lowest that it depends on, near the middle of those. */
function ranked(nodes: PlanNode[], edges: PlanEdge[], sizes: ReadonlyMap<string, Box>): Ranked[][] {
  const before = new Map<string, string[]>();
  for (const edge of edges) {
    before.set(edge.target, [...(before.get(edge.target) ?? []), edge.source]);
  }
  const rankOf = new Map<string, number>();
  const place = (path: string): number => {
    const known = rankOf.get(path);
    if (known !== undefined) {
      return known;
    }
    rankOf.set(path, 0); // ends a circle of jumps
    const rank = Math.max(-1, ...(before.get(path) ?? []).map(place)) + 1;
    rankOf.set(path, rank);
    return rank;
  };
  const ranks: Ranked[][] = [];
  for (const { path } of nodes) {
    const rank = place(path);
    (ranks[rank] ??= []).push({ path, ...(sizes.get(path) ?? { width: WIDTH, height: HEIGHT }) });
  }
  const x = new Map<string, number>();
  return ranks.map((rank) => {
    const middle = (path: string): number => {
      const known = (before.get(path) ?? []).flatMap((other) => x.get(other) ?? []);
      return known.length === 0 ? 0 : known.reduce((sum, each) => sum + each, 0) / known.length;
    };
    const middles = new Map(rank.map(({ path }) => [path, middle(path)]));
    const sorted = [...rank].sort((one, other) => (middles.get(one.path) ?? 0) - (middles.get(other.path) ?? 0));
    sorted.forEach(({ path }, index) => x.set(path, index - (sorted.length - 1) / 2));
    return sorted;
  });
}

function asDrawn(graph: InstanceType<typeof graphlib.Graph>): Arranged {
  const positions = new Map<string, Point>();
  let [width, height] = [0, 0];
  for (const path of graph.nodes()) {
    const node = graph.node(path) as { x: number; y: number; width: number; height: number };
    positions.set(path, { x: node.x - node.width / 2, y: node.y - node.height / 2 });
    width = Math.max(width, node.x + node.width / 2);
    height = Math.max(height, node.y + node.height / 2);
  }
  const points = new Map<string, Point[]>();
  for (const { v, w } of graph.edges()) {
    const { x, y } = graph.node(v) as Point;
    const found = (graph.edge(v, w) as { points?: Point[] }).points ?? [];
    points.set(`${v} ${w}`, found.slice(1, -1).map((point) => ({ x: point.x - x, y: point.y - y })));
  }
  return { positions, points, width, height };
}

/** Puts wide ranks into several rows, one below the other, each in the middle. */
function wrapped(ranks: Ranked[][], room: number): Arranged {
  const rows = ranks.flatMap((rank) => {
    const parts: (typeof rank)[] = [];
    let left = 0;
    for (const each of rank) {
      left -= each.width + GAP_X;
      if (left < 0 || parts.length === 0) {
        parts.push([]);
        left = room - each.width;
      }
      parts[parts.length - 1]?.push(each);
    }
    return parts.map((row, index) => ({ row, isLast: index === parts.length - 1 }));
  });
  const widthOf = (row: { width: number }[]): number => row.reduce((sum, each) => sum + each.width + GAP_X, -GAP_X);
  const width = Math.max(0, ...rows.map(({ row }) => widthOf(row)));
  const positions = new Map<string, { x: number; y: number }>();
  let y = 0;
  for (const { row, isLast } of rows) {
    let x = (width - widthOf(row)) / 2;
    for (const each of row) {
      positions.set(each.path, { x, y });
      x += each.width + GAP_X;
    }
    y += Math.max(...row.map((each) => each.height)) + (isLast ? GAP_Y : GAP_X);
  }
  return { positions, points: new Map(), width, height: Math.max(0, y - GAP_Y) };
}
