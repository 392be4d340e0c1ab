/** Asks before a link, a button or the browser's history leaves text that is not saved. */
import { type ReactNode, useEffect, useRef, useState } from "react";
import { type AroundNavHandler, Router } from "wouter";

import { DiscardDialog } from "../shared/Dialog";
import { forgetUnsaved, isUnsaved } from "../shared/unsaved";

export function LeaveGuard({ children }: { children: ReactNode }) {
  const [leave, setLeave] = useState<{ go: () => void } | null>(null);
  const around: AroundNavHandler = (navigate, to, options) => {
    const go = (): void => navigate(to, options);
    if (isUnsaved()) {
      setLeave({ go });
    } else {
      go();
    }
  };
  useHistoryGuard((go) => setLeave({ go }));
  return (
    <Router aroundNav={around}>
      {children}
      {leave !== null && (
        <DiscardDialog
          onClose={() => setLeave(null)}
          onDiscard={() => {
            forgetUnsaved();
            setLeave(null);
            leave.go();
          }}
        />
      )}
    </Router>
  );
}

// The browser has moved in its history before it says so: the address is put back, and the move is repeated if wanted.
// Browsers call the listeners of a window in the order in which they were added, so this is added before the router's.
let here = location.href;
let ask: ((go: () => void) => void) | null = null;

function note(): void {
  here = location.href;
}

window.addEventListener("popstate", (event) => {
  if (ask === null || !isUnsaved() || location.href === here) {
    note();
    return;
  }
  event.stopImmediatePropagation();
  const there = location.href;
  history.pushState(null, "", here);
  ask(() => history.pushState(null, "", there));
});
window.addEventListener("pushState", note);
window.addEventListener("replaceState", note);

/** Calls `asked` with the move to make when the browser's history would leave text that is not saved. */
function useHistoryGuard(asked: (go: () => void) => void): void {
  const current = useRef(asked);
  current.current = asked;
  useEffect(() => {
    ask = (go) => current.current(go);
    return () => {
      ask = null;
    };
  }, []);
}
