/** The API's data under short names. */
import type { components } from "./schema";

type Schemas = components["schemas"];

export type RunView = Schemas["RunView"];
export type RunState = RunView["state"];
export type StepActivity = Schemas["StepActivity"];
export type StepView = Schemas["StepView"];
export type StepState = StepView["state"];
export type EventView = Schemas["EventView"];
export type WhyView = Schemas["WhyView"];
export type ResultView = Schemas["ResultView"];
export type PipelineSummary = Schemas["PipelineSummary"];
export type PipelineView = Schemas["PipelineView"];
export type DiagnosticView = Schemas["DiagnosticView"];
export type BatchView = Schemas["BatchView"];
export type UsageView = Schemas["UsageView"];
export type SessionView = Schemas["SessionView"];
export type Scope = SessionView["scopes"][number];

/** Whether nothing more happens unless the run is resumed. */
export function hasEnded(run: RunView): boolean {
  return run.state === "succeeded" || run.state === "failed" || run.state === "cancelled";
}
