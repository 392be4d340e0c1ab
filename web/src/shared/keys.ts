/** Keyboard shortcuts, single keys and pairs such as `g r`, which do nothing while somebody types. */
import { useEffect, useRef } from "react";

export interface Shortcut {
  /** A key, or two keys separated by a space. */
  keys: string;
  meaning: string;
  run: () => void;
}

const shown = new Set<Shortcut[]>();
const PAIR = 1_000;

function isTyping(target: EventTarget | null): boolean {
  const element = target instanceof Element ? (target.shadowRoot?.activeElement ?? target) : null;
  return (
    element !== null &&
    (element.closest("input, textarea, select, [contenteditable='true']") !== null || document.querySelector("dialog[open]") !== null)
  );
}

let first = "";
let firstAt = 0;

function pressed(event: KeyboardEvent): void {
  if (event.ctrlKey || event.metaKey || event.altKey || event.defaultPrevented || isTyping(event.target)) {
    return;
  }
  const pair = Date.now() - firstAt < PAIR && first !== "" ? `${first} ${event.key}` : "";
  const all = [...shown].reverse().flat();
  const found = all.find((each) => each.keys === pair) ?? all.find((each) => each.keys === event.key);
  first = event.key;
  firstAt = Date.now();
  if (found !== undefined) {
    first = "";
    event.preventDefault();
    found.run();
  }
}

window.addEventListener("keydown", pressed);

/** Offers shortcuts while the component is shown. Those of inner components win. */
export function useShortcuts(shortcuts: Shortcut[]): void {
  const current = useRef<Shortcut[]>([]);
  current.current.splice(0, current.current.length, ...shortcuts);
  useEffect(() => {
    const list = current.current;
    shown.add(list);
    return () => {
      shown.delete(list);
    };
  }, []);
}

/** All shortcuts that work now, for the page that lists them. */
export function shortcutsNow(): Shortcut[] {
  return [...shown].flat();
}
