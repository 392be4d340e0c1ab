/** What a step was given: its expressions with their values, as they follow from what the run has recorded. */
import { useQuery } from "@tanstack/react-query";

import { bytes } from "../../shared/format";
import { ProblemNotice } from "../../shared/ProblemNotice";
import { Json, Value } from "../../shared/Value";
import { inputsQuery } from "../run_data";
import type { StepDetail } from "../types";
import { LoopItems } from "./LoopItems";

export function InputTab({ runId, detail }: { runId: string; detail: StepDetail }) {
  const inputs = useQuery(inputsQuery(runId, detail.row.path));
  const values = Object.entries(inputs.data?.values ?? {});
  const omitted = Object.entries(inputs.data?.omitted ?? {});
  const isEmpty = values.length + omitted.length + Object.keys(inputs.data?.items ?? {}).length === 0;
  return (
    <div className="stack">
      {detail.row.condition !== "" && (
        <div>
          <h3>Condition</h3>
          <code>{detail.row.condition}</code>
          {inputs.data && inputs.data.condition !== null && <strong> {String(inputs.data.condition)}</strong>}
        </div>
      )}
      {inputs.isError && <ProblemNotice error={inputs.error} />}
      {inputs.data?.problem && <p className="muted">The values are not known: {inputs.data.problem}</p>}
      {inputs.data && isEmpty && inputs.data.problem === "" && <p className="muted">It was given nothing.</p>}
      <LoopItems runId={runId} path={detail.row.path} />
      {values.map(([name, value]) => (
        <div key={name}>
          <h3>{name}</h3>
          <Value value={value} />
        </div>
      ))}
      {omitted.map(([name, size]) => (
        <div key={name}>
          <h3>{name}</h3>
          <p className="muted">{bytes(size)}, too large to show here</p>
        </div>
      ))}
      <details>
        <summary>Definition</summary>
        <Json value={detail.definition} />
      </details>
    </div>
  );
}
