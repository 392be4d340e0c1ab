/** What the run was started with. */
import { useQuery } from "@tanstack/react-query";

import { bytes } from "../../shared/format";
import { Value } from "../../shared/Value";
import { startQuery } from "../run_data";

export function Inputs({ runId }: { runId: string }) {
  const start = useQuery(startQuery(runId)).data;
  const inputs = Object.entries(start?.inputs ?? {});
  const omitted = Object.entries(start?.omitted ?? {});
  if (inputs.length + omitted.length === 0) {
    return null;
  }
  return (
    <section>
      <h2>Inputs</h2>
      <dl className="given">
        {inputs.map(([name, value]) => (
          <div key={name}>
            <dt>{name}</dt>
            <dd>
              <Value value={value} />
            </dd>
          </div>
        ))}
        {omitted.map(([name, size]) => (
          <div key={name}>
            <dt>{name}</dt>
            <dd className="muted">{bytes(size)}, too large to show here</dd>
          </div>
        ))}
      </dl>
    </section>
  );
}
