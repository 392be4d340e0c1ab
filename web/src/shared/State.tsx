/** The state of a run or a step: an icon and a coloured word, never the colour alone. */
import {
  AlarmClock,
  Ban,
  Circle,
  CircleCheck,
  CircleDashed,
  CirclePause,
  CircleSlash,
  CircleX,
  Gauge,
  Hourglass,
  LoaderCircle,
  type LucideIcon,
  MessageCircleQuestionMark,
  RotateCw,
  Undo2,
  Unplug,
  Wrench,
} from "lucide-react";

import type { RunState, StepState } from "../api/types";

export type AnyState = RunState | StepState;

const ICONS: Record<string, LucideIcon> = {
  pending: CircleDashed,
  queued: Hourglass,
  running: LoaderCircle,
  succeeded: CircleCheck,
  failed: CircleX,
  waiting: MessageCircleQuestionMark,
  paused: CirclePause,
  cancelled: Ban,
  interrupted: Unplug,
  skipped: CircleSlash,
};

/** The reason of a pending step that had succeeded and was undone. */
const UNDONE = "undone";

const WAITS: Record<string, LucideIcon> = { human: MessageCircleQuestionMark, time: AlarmClock, retry: RotateCw, handler: Wrench };

function iconOf(state: AnyState, waitsFor: string): LucideIcon {
  if (state === "pending" && waitsFor === UNDONE) {
    return Undo2;
  }
  return state === "waiting" ? (WAITS[waitsFor] ?? Gauge) : (ICONS[state] ?? Circle);
}

interface StateProps {
  state: AnyState;
  /** The reason of the state, as steps record it. Of a wait: `human`, `time`, `retry`, `handler`; else a limit. */
  waitsFor?: string;
}

export function StateIcon({ state, size = 14, waitsFor = "human" }: StateProps & { size?: number }) {
  const Icon = iconOf(state, waitsFor);
  return (
    <span className={`state ${state}`}>
      <Icon size={size} aria-hidden className={state === "running" ? "turning" : undefined} />
    </span>
  );
}

/** The word with its icon; `text` replaces the word, such as `waiting for an answer`. */
export function StateBadge({ state, text = state, waitsFor = "human" }: StateProps & { text?: string }) {
  const Icon = iconOf(state, waitsFor);
  return (
    <span className={`state ${state}`} data-state={state}>
      <Icon size={14} aria-hidden className={state === "running" ? "turning" : undefined} />
      {text}
    </span>
  );
}

const WAIT_WORDS: Record<string, string> = {
  human: "waiting for an answer",
  retry: "waiting for its next attempt",
  time: "waiting for its time",
  handler: "handling its error",
};

/** What a waiting step waits for, in words. */
export function waitWords(waitsFor: string): string {
  return WAIT_WORDS[waitsFor] ?? `waiting for ${waitsFor}`;
}

/** The state of a step in words: what it waits for, or that it was undone. */
export function stepWords(state: AnyState, reason: string): string {
  if (state === "pending" && reason === UNDONE) {
    return "undone";
  }
  return state === "waiting" ? waitWords(reason) : state;
}
