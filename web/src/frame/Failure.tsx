/** Keeps an error of one page from taking down the frame around it. */
import { Component, type ReactNode, useEffect } from "react";

import { Unreachable } from "./Unreachable";

export class Failure extends Component<{ children: ReactNode }, { error: Error | null }> {
  override state: { error: Error | null } = { error: null };

  static getDerivedStateFromError(error: Error): { error: Error } {
    return { error };
  }

  override render(): ReactNode {
    const { error } = this.state;
    if (error === null) {
      return this.props.children;
    }
    if (isOfLoading(error)) {
      return <NotLoaded />;
    }
    return (
      <main className="empty stack">
        <h1>This page cannot be shown</h1>
        <p className="muted">
          An internal error (a bug in Orchestrator). Reload the page; if it happens again, report it with this message.
        </p>
        <pre className="panel panel-body">{error.message}</pre>
        <div>
          <button type="button" className="button primary" onClick={() => location.reload()}>
            Reload
          </button>
        </div>
      </main>
    );
  }
}

/** Whether a part of the page could not be loaded: the server is away, or has another version of the page now. */
function isOfLoading(error: Error): boolean {
  return /dynamically imported module|module script|preload/i.test(error.message);
}

const PAUSE = 1_000;
/** A page that was just loaded again is not loaded again so soon: something else is wrong. */
const APART = 10_000;

/** Loads the whole page again as soon as the server responds: what is shown is in the address. */
function NotLoaded() {
  useEffect(() => {
    const timer = window.setInterval(() => {
      if (performance.now() < APART) {
        return;
      }
      void fetch("/healthz", { cache: "no-store" }).then(
        (response) => response.ok && location.reload(),
        () => undefined,
      );
    }, PAUSE);
    return () => window.clearInterval(timer);
  }, []);
  return <Unreachable error={null} />;
}
