/** Whether a process executes the run that is shown: without one, nothing of what was running is running any more. */
import { createContext, useContext } from "react";

import type { RunView } from "../api/types";
import type { AnyState } from "../shared/State";
import type { RunError, StepRow } from "./types";

export const StoppedContext = createContext(false);

/** The step that the run failed at; empty while it has not failed. */
export const FailedStepContext = createContext("");

/** Returns the path of the step that a run failed at; empty if it has not failed. */
export function failedStep(run: RunView): string {
  return run.state === "failed" ? ((run.error as RunError | null)?.step ?? "") : "";
}

/**
 * Returns the state of a step as it is shown. Of a run whose process has ended, a step that was running is interrupted.
 * The step that a run failed at is failed, also when it counts as not run because what it depends on was undone.
 */
export function useShownState({ path, state }: Pick<StepRow, "path" | "state">): AnyState {
  const isStopped = useContext(StoppedContext);
  const failed = useContext(FailedStepContext);
  if (state === "pending" && path === failed) {
    return "failed";
  }
  return isStopped && state === "running" ? "interrupted" : state;
}
