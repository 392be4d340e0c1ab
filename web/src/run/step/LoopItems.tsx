/** The items of the loops around a step: which of many values it worked on. */
import { useQuery } from "@tanstack/react-query";

import { Value } from "../../shared/Value";
import { inputsQuery } from "../run_data";

export function LoopItems({ runId, path }: { runId: string; path: string }) {
  const isInside = /\[\d+\]/.test(path);
  const inputs = useQuery({ ...inputsQuery(runId, path), enabled: isInside });
  const items = Object.entries(inputs.data?.items ?? {});
  return (
    <>
      {items.map(([name, value]) => (
        <div key={name} className="loop-item">
          <h3>{name === "item" ? "item" : `${name}, the item`}</h3>
          <Value value={value} />
        </div>
      ))}
    </>
  );
}
