/** The graph, whose libraries are loaded when it is shown first. */
import { useEffect, useState } from "react";

import type { RunView } from "../../api/types";
import { ProblemNotice } from "../../shared/ProblemNotice";
import type { Selection } from "../selection";

type View = React.ComponentType<{ run: RunView; selection: Selection }>;

let loaded: View | null = null;

// Not `lazy`: React holds back what was suspended for 300 ms, and this is there much sooner.
export function LoadedGraph({ run, selection }: { run: RunView; selection: Selection }) {
  const [Graph, setGraph] = useState<View | null>(() => loaded);
  const [error, setError] = useState<unknown>(null);
  useEffect(() => {
    if (Graph === null) {
      import("./GraphView").then(({ GraphView }) => {
        loaded = GraphView;
        setGraph(() => GraphView);
      }, setError);
    }
  }, [Graph]);
  if (error !== null) {
    return <ProblemNotice error={error} />;
  }
  return Graph === null ? <div className="graph" aria-busy /> : <Graph run={run} selection={selection} />;
}
