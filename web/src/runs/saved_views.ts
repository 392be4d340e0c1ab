/** Filters that the user has saved under a name, in this browser. */
import { useState } from "react";

export interface SavedView {
  name: string;
  query: string;
}

const KEY = "views";
const MOST = 50;

function stored(): SavedView[] {
  try {
    const found: unknown = JSON.parse(localStorage.getItem(KEY) ?? "[]");
    return Array.isArray(found) ? found.filter(isView).slice(0, MOST) : [];
  } catch {
    return [];
  }
}

function isView(value: unknown): value is SavedView {
  return typeof value === "object" && value !== null && "name" in value && "query" in value;
}

/** Returns the saved views, and functions that save one and remove one. */
export function useSavedViews(): [SavedView[], (view: SavedView) => void, (name: string) => void] {
  const [views, setViews] = useState(stored);
  const keep = (changed: SavedView[]): void => {
    localStorage.setItem(KEY, JSON.stringify(changed));
    setViews(changed);
  };
  const save = (view: SavedView): void => keep([...views.filter((each) => each.name !== view.name), view].slice(-MOST));
  const remove = (name: string): void => keep(views.filter((each) => each.name !== name));
  return [views, save, remove];
}
