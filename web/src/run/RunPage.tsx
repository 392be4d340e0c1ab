/** One run: what it needs first, its steps as a table, a graph or a timeline, and the selected step. */
import { useQuery } from "@tanstack/react-query";
import { useEffect } from "react";

import type { RunView } from "../api/types";
import { useShortcuts } from "../shared/keys";
import { type Files, FilesContext } from "../shared/files";
import { ProblemNotice } from "../shared/ProblemNotice";
import { EventsPanel } from "./EventsPanel";
import { FeedContext, useFeed, useFeedState } from "./feed";
import { Overview } from "./overview/Overview";
import { filesQuery, statusQuery } from "./run_data";
import { LoadedGraph } from "./graph/LoadedGraph";
import { RunHeader } from "./RunHeader";
import { FailedStepContext, failedStep, StoppedContext } from "./run_state";
import { FILTERS, type Selection, useSelection, type View, VIEWS } from "./selection";
import { StepPanel } from "./step/StepPanel";
import { TimelineView } from "./timeline/TimelineView";
import { StepTable } from "./tree/StepTable";
import "./run.css";

const WORDS: Record<View, string> = { steps: "Steps", graph: "Graph", timeline: "Timeline" };

const NO_FILES: Files = new Map();

export function RunPage({ runId }: { runId: string }) {
  const status = useQuery(statusQuery(runId));
  const run = status.data;
  const feed = useFeed(runId, run);
  const files = useQuery(filesQuery(runId)).data ?? NO_FILES;
  useEffect(() => {
    const before = document.title;
    if (run !== undefined) {
      document.title = `${run.name || run.pipeline} ${run.state} · Orchestrator`;
    }
    return () => {
      document.title = before;
    };
  }, [run]);
  if (run === undefined) {
    return (
      <main className="page-body" aria-busy={status.isPending}>
        {status.isError && <ProblemNotice error={status.error} />}
      </main>
    );
  }
  return (
    <FeedContext value={feed}>
      <StoppedContext value={run.state === "interrupted"}>
        <FailedStepContext value={failedStep(run)}>
          <FilesContext value={files}>
            <main className="run">
              <RunHeader run={run} />
              <Connection />
              <Parts run={run} />
              <EventsPanel runId={run.run_id} />
            </main>
          </FilesContext>
        </FailedStepContext>
      </StoppedContext>
    </FeedContext>
  );
}

function Connection() {
  const { problem } = useFeedState();
  return problem === null ? null : (
    <div className="offline" role="status">
      The connection is lost. The page reconnects by itself, and misses nothing.
    </div>
  );
}

function Parts({ run }: { run: RunView }) {
  const selection = useSelection();
  const { change } = selection;
  useShortcuts([
    { keys: "1", meaning: "Steps", run: () => change({ view: "steps" }) },
    { keys: "2", meaning: "Graph", run: () => change({ view: "graph" }) },
    { keys: "3", meaning: "Timeline", run: () => change({ view: "timeline" }) },
    { keys: "Escape", meaning: "Close the step", run: () => change({ step: "", tab: "" }) },
  ]);
  return (
    <div className="run-parts">
      <section className="run-view" aria-label={WORDS[selection.view]}>
        <ViewBar selection={selection} />
        <ShownView run={run} selection={selection} />
      </section>
      <aside className="run-side" aria-label={selection.step === "" ? "Overview" : "Step"}>
        {selection.step === "" ? (
          <Overview run={run} selection={selection} />
        ) : (
          <StepPanel key={selection.step} run={run} selection={selection} />
        )}
      </aside>
    </div>
  );
}

function ShownView({ run, selection }: { run: RunView; selection: Selection }) {
  switch (selection.view) {
    case "graph":
      return <LoadedGraph run={run} selection={selection} />;
    case "timeline":
      return <TimelineView run={run} selection={selection} />;
    default:
      return <StepTable run={run} selection={selection} />;
  }
}

function ViewBar({ selection }: { selection: Selection }) {
  return (
    <div className="view-bar">
      <div className="tabs" role="group" aria-label="View">
        {VIEWS.map((view) => (
          <button key={view} type="button" aria-current={selection.view === view ? "page" : undefined} onClick={() => selection.change({ view })}>
            {WORDS[view]}
          </button>
        ))}
      </div>
      {selection.view === "steps" && (
        <div className="row step-filters" role="group" aria-label="Filter">
          {FILTERS.map((filter) => (
            <button
              key={filter}
              type="button"
              className="chip"
              aria-pressed={selection.filter === filter}
              onClick={() => selection.change({ filter })}
            >
              {filter === "" ? "all" : filter}
            </button>
          ))}
        </div>
      )}
    </div>
  );
}
