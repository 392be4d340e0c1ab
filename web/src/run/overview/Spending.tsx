/** What the run has cost: the dearest steps, and what is left of the budget. */
import { useQuery } from "@tanstack/react-query";

import type { RunView } from "../../api/types";
import { cost, count, money } from "../../shared/format";
import { levelQuery } from "../run_data";
import type { Selection } from "../selection";
import { StepLink } from "./Overview";

const SHOWN = 6;

export function Spending({ run, selection }: { run: RunView; selection: Selection }) {
  const level = useQuery({ ...levelQuery(run.run_id, "", 0), enabled: run.model_calls > 0 });
  if (run.model_calls === 0) {
    return null;
  }
  const rows = (level.data?.rows ?? []).filter((row) => row.model_calls > 0).sort((one, other) => other.known_cost - one.known_cost || tokens(other) - tokens(one));
  const limit = run.budget?.["usd"];
  return (
    <section>
      <h2>Cost</h2>
      {limit !== undefined && (
        <p className="muted">
          {money(run.known_cost)} of {money(limit)} spent, {money(Math.max(0, limit - run.known_cost))} left
        </p>
      )}
      <table className="plain-table">
        <thead>
          <tr>
            <th scope="col">Step</th>
            <th scope="col" className="number">
              Tokens in
            </th>
            <th scope="col" className="number">
              out
            </th>
            <th scope="col" className="number">
              Cost
            </th>
          </tr>
        </thead>
        <tbody>
          {rows.slice(0, SHOWN).map((row) => (
            <tr key={row.path}>
              <td>
                <StepLink path={row.path} selection={selection} />
              </td>
              <td className="number">{count(row.usage.input)}</td>
              <td className="number">{count(row.usage.output)}</td>
              <td className="number">{cost(row)}</td>
            </tr>
          ))}
        </tbody>
      </table>
    </section>
  );
}

function tokens(row: { usage: { input: number; output: number } }): number {
  return row.usage.input + row.usage.output;
}
