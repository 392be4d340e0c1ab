/** Reads the open levels of the step tree, and of loops the pages that are asked for. */
import { useQueries } from "@tanstack/react-query";
import { useCallback, useEffect, useMemo, useRef, useState } from "react";

import { levelQuery, PAGE } from "../run_data";
import { around, type Selection } from "../selection";
import type { RunView } from "../../api/types";
import type { StepTree } from "../types";
import { numberOf, type TreeRow, treeRows } from "./tree_rows";

export interface Tree {
  rows: TreeRow[];
  open: ReadonlySet<string>;
  toggle: (path: string) => void;
  /** Reads the items of a loop from number `first` on. */
  more: (within: string, first: number) => void;
  /** Whether all of it has been read. */
  isRead: boolean;
}

/** The frames that are open: as chosen, at first those around what has failed or is selected. */
export function useOpen(run: RunView, selection: Selection): [ReadonlySet<string>, (path: string) => void] {
  const failed = (run.error as { step?: string } | null)?.step ?? "";
  const [first] = useState(selection.step);
  const open = useMemo(
    () => new Set(selection.open ?? [...around(failed), ...around(first)]),
    [selection.open, first, failed],
  );
  const { change } = selection;
  const revealed = useRef(selection.step);
  useEffect(() => {
    // A step that was selected elsewhere is shown, and what is open stays open; afterwards frames may be closed again.
    if (revealed.current !== selection.step) {
      revealed.current = selection.step;
      if (around(selection.step).some((path) => !open.has(path))) {
        change({ open: [...new Set([...open, ...around(selection.step)])] });
      }
    }
  }, [selection.step, open, change]);
  const toggle = useCallback(
    (path: string) => {
      const next = new Set(open);
      if (!next.delete(path)) {
        next.add(path);
      }
      change({ open: [...next] });
    },
    [open, change],
  );
  return [open, toggle];
}

export function useTree(run: RunView, selection: Selection): Tree {
  const [open, toggle] = useOpen(run, selection);
  const [pages, setPages] = useState<ReadonlyMap<string, readonly number[]>>(new Map());
  const wanted = useMemo(() => {
    const found: { within: string; first: number }[] = [];
    for (const within of ["", ...open]) {
      const firsts = new Set([0, ...(pages.get(within) ?? [])]);
      const inner = [...around(selection.step), selection.step].find((path) => path.startsWith(`${within}[`) && within !== "");
      if (inner !== undefined) {
        firsts.add(Math.floor(numberOf(inner) / PAGE) * PAGE);
      }
      found.push(...[...firsts].sort((one, other) => one - other).map((first) => ({ within, first })));
    }
    return found;
  }, [open, pages, selection.step]);
  const { levels, isRead } = useQueries({
    queries: wanted.map(({ within, first }) => levelQuery(run.run_id, within, first)),
    combine: useCallback(
      (results: { data: StepTree | undefined }[]) => {
        const found = new Map<string, StepTree[]>();
        results.forEach(({ data }, index) => {
          const { within, first } = wanted[index] ?? { within: "", first: 0 };
          if (data !== undefined && data.within === within && data.first === first) {
            found.set(within, [...(found.get(within) ?? []), data]);
          }
        });
        return { levels: found, isRead: results.every(({ data }) => data !== undefined) };
      },
      [wanted],
    ),
  });
  const more = useCallback(
    (within: string, first: number) =>
      setPages((current) => new Map(current).set(within, [...(current.get(within) ?? []), first])),
    [],
  );
  const rows = useMemo(() => treeRows(levels, open, selection.filter), [levels, open, selection.filter]);
  return { rows, open, toggle, more, isRead };
}
