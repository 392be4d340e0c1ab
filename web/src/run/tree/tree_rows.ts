/** The rows of the step tree: the levels that are open, one below the other, with gaps where items are not read. */
import type { Filter } from "../selection";
import type { StepRow, StepTree } from "../types";

export type TreeRow =
  | { kind: "step"; key: string; depth: number; row: StepRow; isOpen: boolean }
  | { kind: "gap"; key: string; depth: number; within: string; first: number; count: number }
  | { kind: "heading"; key: string; depth: number; text: string }
  | { kind: "reading"; key: string; depth: number };

/** Whether there is something inside a row that can be opened. */
export function hasInside(row: StepRow): boolean {
  return row.inside !== 0 && !(row.inside === null && row.state === "pending");
}

/** Returns the rows. `levels` are the pages that were read: of a block one, of a loop any, by their first item. */
export function treeRows(
  levels: ReadonlyMap<string, readonly StepTree[]>,
  open: ReadonlySet<string>,
  filter: Filter,
): TreeRow[] {
  const rows: TreeRow[] = [];
  const add = (within: string, depth: number): void => {
    const pages = levels.get(within);
    const first = pages?.[0];
    if (pages === undefined || first === undefined) {
      rows.push({ kind: "reading", key: `${within}/reading`, depth });
      return;
    }
    const step = (row: StepRow): void => {
      if (filter !== "" && row.state !== filter && !(row.counts[filter] ?? 0)) {
        return;
      }
      const isOpen = open.has(row.path) && hasInside(row);
      rows.push({ kind: "step", key: row.path, depth, row, isOpen });
      if (isOpen) {
        add(row.path, depth + 1);
      }
    };
    if (!first.is_loop) {
      first.rows.forEach(step);
      return;
    }
    addItems(rows, within, depth, pages, filter, step);
  };
  add("", 0);
  return rows;
}

function addItems(
  rows: TreeRow[],
  within: string,
  depth: number,
  pages: readonly StepTree[],
  filter: Filter,
  step: (row: StepRow) => void,
): void {
  const notable = pages[0]?.notable ?? [];
  const named = new Set(notable.map((row) => row.path));
  notable.forEach(step);
  const total = pages[pages.length - 1]?.total ?? 0;
  if (filter !== "") {
    return;
  }
  if (notable.length > 0 && total > notable.length) {
    rows.push({ kind: "heading", key: `${within}/all`, depth, text: "All items by number" });
  }
  let next = 0;
  for (const page of pages) {
    if (page.first > next) {
      rows.push({ kind: "gap", key: `${within}/gap${next}`, depth, within, first: next, count: page.first - next });
    }
    page.rows.filter((row) => !named.has(row.path)).forEach(step);
    const last = page.rows[page.rows.length - 1];
    next = Math.max(page.first, last === undefined ? 0 : numberOf(last.path) + 1);
  }
  if (next < total) {
    rows.push({ kind: "gap", key: `${within}/gap${next}`, depth, within, first: next, count: total - next });
  }
}

/** The number of an item, from its path. */
export function numberOf(path: string): number {
  return Number(/\[(\d+)\]$/.exec(path)?.[1] ?? 0);
}
