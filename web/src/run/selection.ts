/** What is shown of a run, all of it in the address: the view, the selected step and its tab, open frames, the filter. */
import { useCallback, useMemo } from "react";
import { useSearchParams } from "wouter";

export const VIEWS = ["steps", "graph", "timeline"] as const;
export type View = (typeof VIEWS)[number];

export const TABS = ["result", "error", "input", "messages", "log", "why", "attempts"] as const;
export type Tab = (typeof TABS)[number];

export const FILTERS = ["", "failed", "waiting", "running"] as const;
export type Filter = (typeof FILTERS)[number];

export interface Selection {
  view: View;
  /** The path of the selected step; empty: none. */
  step: string;
  tab: Tab | "";
  /** The paths of the open frames; null: not chosen yet. */
  open: readonly string[] | null;
  filter: Filter;
  /** The part of the timeline that is shown, in seconds since its beginning. */
  zoom: readonly [number, number] | null;
  change: (changed: Partial<Chosen>) => void;
}

interface Chosen {
  view: View;
  step: string;
  tab: Tab | "";
  open: readonly string[];
  filter: Filter;
  zoom: readonly [number, number] | null;
}

const SEPARATOR = "~";

function oneOf<T extends string>(known: readonly T[], value: string | null, otherwise: T): T {
  return known.find((each) => each === value) ?? otherwise;
}

function written(name: keyof Chosen, value: unknown): string {
  if (name === "open") {
    return (value as readonly string[]).join(SEPARATOR);
  }
  if (name === "zoom") {
    return value === null ? "" : (value as readonly number[]).map((each) => each.toFixed(2)).join("-");
  }
  return value === "steps" ? "" : String(value);
}

export function useSelection(): Selection {
  const [parameters, setParameters] = useSearchParams();
  const change = useCallback(
    (changed: Partial<Chosen>) =>
      setParameters(
        (current) => {
          const next = new URLSearchParams(current);
          for (const [name, value] of Object.entries(changed)) {
            const text = written(name as keyof Chosen, value);
            if (text === "" && name !== "open") {
              next.delete(name);
            } else {
              next.set(name, text);
            }
          }
          return next;
        },
        { replace: true },
      ),
    [setParameters],
  );
  const text = parameters.toString();
  return useMemo(() => {
    const read = new URLSearchParams(text);
    const open = read.get("open");
    const zoom = /^([\d.]+)-([\d.]+)$/.exec(read.get("zoom") ?? "");
    return {
      view: oneOf(VIEWS, read.get("view"), "steps"),
      step: read.get("step") ?? "",
      tab: oneOf<Tab | "">(TABS, read.get("tab"), ""),
      open: open === null ? null : open.split(SEPARATOR).filter((path) => path !== ""),
      filter: oneOf(FILTERS, read.get("filter"), ""),
      zoom: zoom === null ? null : ([Number(zoom[1]), Number(zoom[2])] as const),
      change,
    };
  }, [text, change]);
}

/** Returns the paths of what contains a step, the outermost first: of `a[3].b` they are `a` and `a[3]`. */
export function around(path: string): string[] {
  const found: string[] = [];
  let inner = parentOf(path);
  while (inner !== "") {
    if (!/(^|\.)(on_error|error_handlers)$/.test(inner)) {
      found.unshift(inner);
    }
    inner = parentOf(inner);
  }
  return found;
}

export function parentOf(path: string): string {
  return path.endsWith("]") ? path.slice(0, path.lastIndexOf("[")) : path.slice(0, Math.max(0, path.lastIndexOf(".")));
}
