/** The scale of the timeline: which seconds of the run are in view, and the marks of its axis. */

export interface Scale {
  /** The first and the last second in view, since the beginning of the run. */
  from: number;
  to: number;
}

const STEPS = [0.001, 0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1, 2, 5, 10, 15, 30, 60, 120, 300, 600, 900, 1800, 3600, 7200, 14_400, 43_200, 86_400];
const MARKS = 8;
const SHORTEST = 0.01;

/** Where a time is, as a percentage of the width. */
export function place(scale: Scale, seconds: number): number {
  return ((seconds - scale.from) / (scale.to - scale.from)) * 100;
}

/** The seconds that the axis marks. */
export function marks({ from, to }: Scale): number[] {
  const wanted = (to - from) / MARKS;
  const step = STEPS.find((each) => each >= wanted) ?? Math.ceil(wanted / 86_400) * 86_400;
  const found: number[] = [];
  for (let at = Math.ceil(from / step) * step; at <= to; at += step) {
    found.push(at);
  }
  return found;
}

/** The scale with `factor` times the seconds in view, around a point that keeps its place; null for the whole run. */
export function zoomed(scale: Scale, factor: number, around: number, whole: Scale): readonly [number, number] | null {
  const length = Math.max(SHORTEST, (scale.to - scale.from) * factor);
  if (length >= whole.to - whole.from) {
    return null;
  }
  const share = (around - scale.from) / (scale.to - scale.from);
  const from = Math.max(whole.from, Math.min(around - share * length, whole.to - length));
  return [from, from + length];
}
