/** The commands that a person gives to a run; after each, all that is shown of the run is read again. */
import { useMutation, useQueryClient } from "@tanstack/react-query";

import { client, data } from "../../api/client";
import type { RunView } from "../../api/types";
import { runKey } from "../run_data";

export interface Budget {
  usd?: number;
  tokens?: number;
  requests?: number;
}

export type Command =
  | { kind: "pause"; now: boolean }
  | { kind: "cancel"; reason: string }
  | { kind: "resume"; inputs?: Record<string, unknown>; source?: string; name?: string; budget?: Budget }
  | { kind: "retry"; step: string; inputs?: Record<string, unknown> }
  | { kind: "fork"; step: string; inputs?: Record<string, unknown> };

function send(runId: string, command: Command): Promise<RunView> {
  const params = { path: { run_id: runId } };
  switch (command.kind) {
    case "pause":
      return data(client.POST("/v1/runs/{run_id}/pause", { params, body: { now: command.now } }));
    case "cancel":
      return data(client.POST("/v1/runs/{run_id}/cancel", { params, body: { reason: command.reason } }));
    case "resume": {
      const { inputs = {}, source, name, budget } = command;
      const body = { inputs, ...(source !== undefined && { source }), ...(name !== undefined && { name }), ...(budget !== undefined && { budget }) };
      return data(client.POST("/v1/runs/{run_id}/resume", { params, body }));
    }
    case "retry":
      return data(client.POST("/v1/runs/{run_id}/retry", { params, body: { step: command.step, inputs: command.inputs ?? {} } }));
    case "fork":
      return data(client.POST("/v1/runs/{run_id}/fork", { params, body: { step: command.step, inputs: command.inputs ?? {} } }));
  }
}

export function useCommand(runId: string, onDone: (run: RunView) => void) {
  const queries = useQueryClient();
  return useMutation({
    mutationFn: (command: Command) => send(runId, command),
    onSuccess: (run) => {
      void queries.invalidateQueries({ queryKey: runKey(runId) });
      onDone(run);
    },
  });
}
