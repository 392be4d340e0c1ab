/** Text that somebody has edited and not saved: leaving it asks first, inside the page and when the page is closed. */
import { useEffect, useId } from "react";

const unsaved = new Set<string>();

/** Whether something that is shown would be lost by leaving it. */
export function isUnsaved(): boolean {
  return unsaved.size > 0;
}

/** Leave without asking, since what was edited is saved, or is to be discarded. */
export function forgetUnsaved(): void {
  unsaved.clear();
}

/** Holds the reader back while `isChanged`. */
export function useUnsaved(isChanged: boolean): void {
  const key = useId();
  useEffect(() => {
    if (!isChanged) {
      return undefined;
    }
    const warn = (event: BeforeUnloadEvent): void => {
      if (isUnsaved()) {
        event.preventDefault();
      }
    };
    unsaved.add(key);
    window.addEventListener("beforeunload", warn);
    return () => {
      unsaved.delete(key);
      window.removeEventListener("beforeunload", warn);
    };
  }, [isChanged, key]);
}
