/** The API's data about one run under short names. */
import type { components } from "../api/schema";

type Schemas = components["schemas"];

export type StepRow = Schemas["StepRowView"];
export type StepTree = Schemas["StepTree"];
export type StepDetail = Schemas["StepDetail"];
export type Attempt = Schemas["AttemptView"];
export type Messages = Schemas["MessagesView"];
export type Message = Schemas["MessageView"];
export type ModelCall = Schemas["ModelCallView"];
export type Plan = Schemas["PlanView"];
export type Again = Schemas["AgainView"];
export type PlanNode = Schemas["PlanNodeView"];
export type PlanEdge = Schemas["PlanEdgeView"];
export type Chapter = Schemas["ChapterView"];
export type History = Schemas["HistoryView"];
export type Timeline = Schemas["TimelineView"];
export type TimelineRow = Schemas["TimelineRowView"];
export type Segment = Schemas["SegmentView"];
export type StepChange = Schemas["StepChangeView"];

/** Why a run or a step failed, as it is recorded. */
export interface RunError {
  code?: string;
  type?: string;
  message?: string;
  help?: string | null;
  step?: string;
  attempt?: number;
  remedies?: RecordedRemedy[];
}

export interface RecordedRemedy {
  kind: string;
  run_id?: string;
  path?: string;
  name?: string;
  budget?: string;
  edited?: boolean;
  [field: string]: unknown;
}
