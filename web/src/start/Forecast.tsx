/** What a run would do with the inputs in the form, and what it may cost. Nothing is run for it. */
import { useQuery } from "@tanstack/react-query";
import { TriangleAlert } from "lucide-react";

import { client, data } from "../api/client";
import type { components } from "../api/schema";
import { count, money, plural } from "../shared/format";

type ForecastView = components["schemas"]["ForecastView"];
type StepForecast = components["schemas"]["StepForecastView"];

interface ForecastProps {
  pipeline: string;
  inputs: Record<string, unknown>;
  isComplete: boolean;
  usd: number | null;
}

export function Forecast({ pipeline, inputs, isComplete, usd }: ForecastProps) {
  const found = useQuery({
    queryKey: ["forecast", pipeline, inputs],
    queryFn: ({ signal }) => data(client.POST("/v1/pipelines/forecast", { body: { pipeline, inputs }, signal })),
    enabled: isComplete,
    placeholderData: (before) => before,
    retry: false,
    staleTime: 30_000,
    gcTime: 60_000,
  });
  return (
    <section className="panel forecast" aria-labelledby="forecast" aria-busy={found.isFetching}>
      <div className="panel-title">
        <h2 id="forecast">Forecast</h2>
      </div>
      <div className="panel-body stack">
        {found.data !== undefined && !found.isError ? (
          <Found forecast={found.data} usd={usd ?? found.data.budget?.["usd"] ?? null} />
        ) : (
          <p className="muted">{isComplete && !found.isError ? "Computing…" : "Shown when all required inputs are valid."}</p>
        )}
      </div>
    </section>
  );
}

function Found({ forecast, usd }: { forecast: ForecastView; usd: number | null }) {
  const calls = forecast.steps.flatMap((step) => step.calls);
  return (
    <>
      {calls.length === 0 ? <p>No model is called: the run costs nothing.</p> : <Cost forecast={forecast} usd={usd} />}
      {forecast.missing.length > 0 && (
        <div className="notice waiting">
          <TriangleAlert size={16} aria-hidden />
          <div>
            {forecast.missing.map((each) => (
              <div key={each}>{each}</div>
            ))}
          </div>
        </div>
      )}
      <table className="run-lines">
        <thead>
          <tr>
            <th scope="col">Step</th>
            <th scope="col" className="number">
              Times
            </th>
            <th scope="col" className="number">
              Cost
            </th>
          </tr>
        </thead>
        <tbody>
          {forecast.steps.map((step) => (
            <Step key={step.path} step={step} />
          ))}
        </tbody>
      </table>
    </>
  );
}

function Cost({ forecast, usd }: { forecast: ForecastView; usd: number | null }) {
  const { most } = forecast;
  const isAbove = usd !== null && (most.cost === null || most.cost > usd);
  return (
    <dl className="sums">
      <dt>Expected</dt>
      <dd>
        about {money(forecast.cost)}
        {forecast.unpriced > 0 && `, and ${plural(forecast.unpriced, "call")} without a known price`}
      </dd>
      <dt>Tokens</dt>
      <dd>
        about {count(forecast.input)} in, up to {count(forecast.output)} out
      </dd>
      <dt>At most</dt>
      <dd>
        {most.calls === null ? (
          <>no upper bound: {most.unbounded.join("; ")}</>
        ) : (
          <>
            {most.cost === null ? "an unknown price" : money(most.cost)}, {plural(most.calls, "call")}
          </>
        )}
      </dd>
      {usd !== null && (
        <>
          <dt>Budget</dt>
          <dd className={isAbove ? "state waiting" : undefined}>
            {money(usd)}
            {isAbove && ", which the run could reach"}
          </dd>
        </>
      )}
    </dl>
  );
}

function Step({ step }: { step: StepForecast }) {
  const depth = step.path.split(".").length - 1;
  const priced = step.calls.filter((call) => call.cost !== null);
  const cost = priced.reduce((sum, call) => sum + (call.cost ?? 0), 0) * (step.times ?? 1);
  const model = step.calls[0]?.models.find((each) => each["ready"] === true) ?? step.calls[0]?.models[0];
  return (
    <tr>
      <td style={{ paddingLeft: depth * 16 }}>
        <div>{step.path.split(".").at(-1)}</div>
        <div className="muted small">
          {step.does}
          {model !== undefined && ` · ${String(model["model"])}`}
          {step.condition !== null && ` · if ${step.condition}`}
        </div>
      </td>
      <td className="number" title={step.times === null ? "known only during the run" : undefined}>
        {step.times === null ? "?" : count(step.times)}
      </td>
      <td className="number">{step.calls.length === 0 ? "" : priced.length === 0 ? "unknown" : money(cost)}</td>
    </tr>
  );
}
