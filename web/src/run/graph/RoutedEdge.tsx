/** An edge that is led around the steps between its ends. */
import { BaseEdge, EdgeLabelRenderer, type EdgeProps } from "@xyflow/react";
import { memo } from "react";

import { HEIGHT, type Point } from "./layout";

/** The last pixels of an edge are straight, so that its arrow points downwards. */
const STRAIGHT = 12;

export interface RoutedEdgeData {
  points: Point[];
  label: string;
  /** How high its source is drawn. */
  sourceHeight: number;
}

export const RoutedEdge = memo(function RoutedEdge({ id, sourceX, sourceY, targetX, targetY, data, markerEnd }: EdgeProps) {
  const { points, label, sourceHeight } = data as unknown as RoutedEdgeData;
  const middle = sourceY - (sourceHeight || HEIGHT) / 2;
  const inner = points.map(({ x, y }) => ({ x: sourceX + x, y: middle + y })).filter(({ y }) => y > sourceY && y < targetY);
  const bends = inner.length > 0 ? inner : halfway(sourceX, sourceY, targetX, targetY);
  const at = bends[Math.floor(bends.length / 2)] ?? { x: targetX, y: targetY };
  return (
    <>
      <BaseEdge id={id} path={curve([{ x: sourceX, y: sourceY }, ...bends, { x: targetX, y: targetY - STRAIGHT }, { x: targetX, y: targetY }])} {...(markerEnd !== undefined && { markerEnd })} />
      {label !== "" && (
        <EdgeLabelRenderer>
          <span className="edge-label" style={{ transform: `translate(-50%, -50%) translate(${at.x}px, ${at.y}px)` }}>
            {label}
          </span>
        </EdgeLabelRenderer>
      )}
    </>
  );
});

/** The bends of an edge between neighbours: down, across, down. */
function halfway(sourceX: number, sourceY: number, targetX: number, targetY: number): Point[] {
  const y = (sourceY + targetY) / 2;
  return Math.abs(sourceX - targetX) < 1 ? [] : [{ x: sourceX, y: y - 4 }, { x: targetX, y: y - 4 }];
}

/** A line through the middles between points, rounded at the points. */
function curve(points: Point[]): string {
  const [first, ...rest] = points;
  if (first === undefined) {
    return "";
  }
  let path = `M ${first.x} ${first.y}`;
  rest.forEach((point, index) => {
    const next = rest[index + 1];
    path += next === undefined ? ` L ${point.x} ${point.y}` : ` Q ${point.x} ${point.y} ${(point.x + next.x) / 2} ${(point.y + next.y) / 2}`;
  });
  return path;
}
