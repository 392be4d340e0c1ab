/** What can be done with the runs that are selected. */
import { useMutation, useQueryClient } from "@tanstack/react-query";
import { Ban, RotateCcw, X } from "lucide-react";
import { useState } from "react";

import { client, data } from "../api/client";
import { Problem } from "../api/problem";
import { hasEnded, type RunView } from "../api/types";
import { Confirm } from "../shared/Dialog";
import { plural } from "../shared/format";
import { ProblemNotice } from "../shared/ProblemNotice";

type Action = "cancel" | "retry";

const AT_ONCE = 4;

interface Refused {
  run: RunView;
  problem: unknown;
}

export function BulkBar({ runs, onClear }: { runs: RunView[]; onClear: () => void }) {
  const queries = useQueryClient();
  const [asked, setAsked] = useState<Action | null>(null);
  const cancellable = runs.filter((run) => !hasEnded(run));
  const retryable = runs.filter((run) => ["failed", "cancelled", "interrupted"].includes(run.state));
  const doing = useMutation({
    mutationFn: (action: Action) => withAll(action === "cancel" ? cancellable : retryable, action),
    onSuccess: (refused) => {
      setAsked(null);
      void queries.invalidateQueries({ queryKey: ["runs", "newest"] });
      void queries.invalidateQueries({ queryKey: ["run"] });
      if (refused.length === 0) {
        onClear();
      }
    },
  });
  return (
    <div className="bulk" role="region" aria-label="Selected runs">
      <strong>{plural(runs.length, "run")} selected</strong>
      <button type="button" className="button" disabled={retryable.length === 0} onClick={() => setAsked("retry")}>
        <RotateCcw size={14} aria-hidden /> Retry
      </button>
      <button type="button" className="button" disabled={cancellable.length === 0} onClick={() => setAsked("cancel")}>
        <Ban size={14} aria-hidden /> Cancel
      </button>
      <button type="button" className="button quiet" onClick={onClear}>
        <X size={14} aria-hidden /> Clear
      </button>
      {doing.data !== undefined && doing.data.length > 0 && <Refusals refused={doing.data} />}
      {asked === "cancel" && (
        <Confirm
          title={`Cancel ${plural(cancellable.length, "run")}?`}
          action="Cancel them"
          danger
          busy={doing.isPending}
          onConfirm={() => doing.mutate("cancel")}
          onClose={() => setAsked(null)}
        >
          <p>Their running steps are stopped. Completed steps are kept: the runs can be resumed.</p>
        </Confirm>
      )}
      {asked === "retry" && (
        <Confirm
          title={`Retry ${plural(retryable.length, "run")}?`}
          action="Retry them"
          busy={doing.isPending}
          onConfirm={() => doing.mutate("retry")}
          onClose={() => setAsked(null)}
        >
          <p>
            Each continues from the steps that failed or were stopped. Completed steps are kept and not paid for again; model
            calls of the others may cost.
          </p>
        </Confirm>
      )}
    </div>
  );
}

function Refusals({ refused }: { refused: Refused[] }) {
  const first = refused[0] as Refused;
  return (
    <ProblemNotice error={first.problem}>
      {refused.length > 1 && <div className="muted">and {plural(refused.length - 1, "other run")} could not be changed</div>}
    </ProblemNotice>
  );
}

/** Sends a command to each run, a few at once, and returns those that refused it. */
async function withAll(runs: RunView[], action: Action): Promise<Refused[]> {
  const waiting = [...runs];
  const refused: Refused[] = [];
  const work = async (): Promise<void> => {
    for (let run = waiting.shift(); run !== undefined; run = waiting.shift()) {
      const params = { params: { path: { run_id: run.run_id } } };
      try {
        await (action === "cancel"
          ? data(client.POST("/v1/runs/{run_id}/cancel", { ...params, body: { reason: "" } }))
          : data(client.POST("/v1/runs/{run_id}/resume", { ...params, body: {} })));
      } catch (error) {
        if (error instanceof Problem && error.status === 401) {
          throw error;
        }
        refused.push({ run, problem: error });
      }
    }
  };
  await Promise.all(Array.from({ length: AT_ONCE }, work));
  return refused;
}
