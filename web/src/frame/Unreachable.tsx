/** Shown instead of the page while the server cannot serve it: it is restarting, has stopped, or is slow to respond. */
import { LoaderCircle } from "lucide-react";

import { Problem } from "../api/problem";
import { Mark } from "./Mark";

/** `error` is why it cannot; undefined while it has not responded yet, which is said only after a moment. */
export function Unreachable({ error }: { error: unknown }) {
  const refused = error instanceof Problem && error.status > 0;
  return (
    <main className={error === undefined ? "empty delayed" : "empty"}>
      <div className="stack" role="status">
        <div className="row">
          <Mark size={20} />
          <h1>
            {error === undefined
              ? "Waiting for the server"
              : refused
                ? "The server cannot serve the page now"
                : "The server is restarting, or has stopped"}
          </h1>
        </div>
        {refused && <p>{error.message}</p>}
        <p className="muted row">
          <LoaderCircle size={14} className="turning" aria-hidden />
          {error === undefined
            ? "It has not responded yet."
            : "This page comes back by itself. Runs continue when the server does."}
        </p>
      </div>
    </main>
  );
}
