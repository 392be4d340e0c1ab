/** A step in the graph: a box, or a frame with the steps inside; its state in its left edge and its icon. */
import { Handle, type NodeProps, Position } from "@xyflow/react";
import { Maximize2, Minimize2 } from "lucide-react";
import { memo } from "react";
import { Link } from "wouter";

import type { StepState } from "../../api/types";
import { runAddress } from "../../shared/address";
import { cost, count, duration, plural } from "../../shared/format";
import { StateIcon, stepWords } from "../../shared/State";
import { useShownState } from "../run_state";
import type { Selection } from "../selection";
import { LoopBar, Took } from "../tree/StepTable";
import type { PlanNode, StepRow } from "../types";

export interface StepNodeData {
  node: PlanNode;
  row: StepRow | undefined;
  /** `each` of a step inside a loop, which stands for many. */
  state: StepState | "each";
  /** Of a loop that runs, how many items it has, if that is known. */
  of: number | null;
  isOpen: boolean;
  isSelected: boolean;
  toggle: (path: string) => void;
  change: Selection["change"];
}

export const StepNode = memo(function StepNode({ data }: NodeProps) {
  const { node, row, of, isOpen, isSelected, toggle, change, ...given } = data as unknown as StepNodeData;
  const shown = useShownState({ path: node.path, state: given.state === "each" ? "pending" : given.state });
  const state = given.state === "each" ? "each" : shown;
  const isInLoop = node.path.includes("[*]");
  const select = (): void => {
    if (!isInLoop) {
      change({ step: node.path, tab: "" });
    }
  };
  return (
    <div className={`step-node ${state} ${isOpen ? "open" : ""} ${isSelected ? "selected" : ""}`} data-path={node.path} title={hint(node, row)}>
      <Handle type="target" position={Position.Top} isConnectable={false} />
      <div className="step-node-head">
        {state !== "each" && <StateIcon state={state} waitsFor={row?.reason ?? ""} />}
        <button type="button" className="link truncate" disabled={isInLoop} onClick={select}>
          {node.name || node.id}
        </button>
        {node.section !== "" && node.section !== "[*]" && <span className="chip">{node.section}</span>}
        <span className="grow" />
        {row !== undefined && (
          <span className="muted small">
            <Took row={row} />
          </span>
        )}
        {node.inside > 0 && (
          <button
            type="button"
            className="toggle"
            aria-expanded={isOpen}
            aria-label={`${isOpen ? "Fold" : "Unfold"} ${node.id}`}
            onClick={(event) => {
              event.stopPropagation();
              toggle(node.path);
            }}
          >
            {isOpen ? <Minimize2 size={12} aria-hidden /> : <Maximize2 size={12} aria-hidden />}
          </button>
        )}
      </div>
      {!isOpen && <About node={node} row={row} of={of} change={change} />}
      <Handle type="source" position={Position.Bottom} isConnectable={false} />
    </div>
  );
});

const CHIPS = 2;

function About({ node, row, of, change }: { node: PlanNode; row: StepRow | undefined; of: number | null; change: Selection["change"] }) {
  if (row !== undefined && row.inside !== null && Object.keys(row.counts).length > 0 && (node.kind === "for_each" || node.kind === "while" || node.kind === "until")) {
    return (
      <div className="step-node-about">
        <LoopBar counts={row.counts} of={of} />
        <span className="muted small">{of === null ? count(row.inside) : `${count(ended(row))} of ${count(of)}`}</span>
        {row.failed_items.slice(0, CHIPS).map((path) => (
          <button
            key={path}
            type="button"
            className="chip failed-chip"
            onClick={(event) => {
              event.stopPropagation();
              change({ step: path, tab: "error" });
            }}
          >
            {path.slice(path.lastIndexOf("["))}
          </button>
        ))}
        {(row.counts["failed"] ?? 0) > CHIPS && <span className="state failed small">+{count((row.counts["failed"] ?? 0) - CHIPS)}</span>}
      </div>
    );
  }
  return (
    <div className="step-node-about muted small">
      {row?.run ? (
        <span className="truncate">
          run{" "}
          <Link href={runAddress(row.run)} className="mono" onClick={(event) => event.stopPropagation()}>
            {row.run}
          </Link>
        </span>
      ) : (
        <span className="truncate">{node.what}</span>
      )}
      {node.inside > 0 && <span>{plural(node.inside, "step")}</span>}
    </div>
  );
}

/** How many items of a loop have ended. */
function ended(row: StepRow): number {
  return (row.counts["succeeded"] ?? 0) + (row.counts["failed"] ?? 0);
}

function hint(node: PlanNode, row: StepRow | undefined): string {
  const words = [node.name || node.id, node.what];
  if (node.condition !== "") {
    words.push(`only if ${node.condition}`);
  }
  if (row !== undefined) {
    words.push(stepWords(row.state, row.reason));
    if (row.ended_at !== null) {
      words.push(duration(row.started_at === null ? row.duration : row.ended_at - row.started_at));
    }
    if (row.attempts > 1) {
      words.push(plural(row.attempts, "attempt"));
    }
    words.push(cost(row));
  }
  return words.filter((word) => word !== "").join("\n");
}
