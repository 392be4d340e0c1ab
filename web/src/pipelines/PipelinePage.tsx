/** One pipeline: what it does, what it takes, how its runs went, and its source. */
import { useQuery } from "@tanstack/react-query";
import { Play } from "lucide-react";
import { lazy, Suspense } from "react";
import { Link } from "wouter";

import { client, data } from "../api/client";
import { POLL, useMay } from "../api/queries";
import type { PipelineView, RunView } from "../api/types";
import { expectation, type Schema, typeOf } from "../forms/schema";
import { pipelineAddress, runAddress, startAddress, useParameter } from "../shared/address";
import { cost } from "../shared/format";
import { Prose } from "../shared/Prose";
import { isWorking } from "../shared/RunBadge";
import { ProblemNotice } from "../shared/ProblemNotice";
import { StateBadge } from "../shared/State";
import { Elapsed, Time } from "../shared/Time";
import { History, HistorySums } from "./History";
import { Problems } from "./PipelinesPage";
import { PlanPicture } from "./PlanPicture";
import { Triggers } from "./Triggers";
import "./pipelines.css";

const SourceEditor = lazy(async () => ({ default: (await import("./SourceEditor")).SourceEditor }));

const HISTORY = 50;

export function PipelinePage({ name }: { name: string }) {
  const [tab] = useParameter("tab");
  const mayRun = useMay("run");
  const found = useQuery({
    queryKey: ["pipeline", name],
    queryFn: ({ signal }) => data(client.GET("/v1/pipelines/{name}", { params: { path: { name } }, signal })),
    refetchInterval: 5 * POLL,
  });
  if (found.data === undefined) {
    return <main className="page-body">{found.isError && <ProblemNotice error={found.error} />}</main>;
  }
  const pipeline = found.data;
  const shown = tab === "source" || (tab === "" && !pipeline.ok) ? "source" : "overview";
  return (
    <main>
      <div className="page-head">
        <h1>{pipeline.title}</h1>
        {pipeline.name !== pipeline.title && <code className="muted">{pipeline.name}</code>}
        <Problems pipeline={pipeline} />
        <span className="grow" />
        {mayRun && pipeline.ok && (
          <Link href={startAddress(pipeline.name)} className="button primary">
            <Play size={14} aria-hidden /> Start
          </Link>
        )}
      </div>
      <div className="page-body">
        <nav className="tabs" aria-label="Parts of the pipeline">
          <Link href={`${pipelineAddress(name)}?tab=overview`} replace aria-current={shown === "overview" ? "page" : undefined}>
            Overview
          </Link>
          <Link href={`${pipelineAddress(name)}?tab=source`} replace aria-current={shown === "source" ? "page" : undefined}>
            Source
          </Link>
        </nav>
        {shown === "overview" ? (
          <Overview pipeline={pipeline} />
        ) : (
          <Suspense fallback={null}>
            <SourceEditor key={pipeline.name} pipeline={pipeline} />
          </Suspense>
        )}
      </div>
    </main>
  );
}

function Overview({ pipeline }: { pipeline: PipelineView }) {
  const runs = useQuery({
    queryKey: ["runs", "of", pipeline.id],
    queryFn: ({ signal }) => data(client.GET("/v1/runs", { params: { query: { pipeline: pipeline.id, limit: HISTORY } }, signal })),
    refetchInterval: 2 * POLL,
  }).data?.runs;
  return (
    <div className="pipeline-columns">
      <div className="stack">
        {pipeline.intention !== "" && (
          <p>
            <Prose text={pipeline.intention} />
          </p>
        )}
        {pipeline.ok && <PlanPicture pipeline={pipeline} />}
        <section className="panel" aria-labelledby="runs-of">
          <div className="panel-title">
            <h2 id="runs-of" className="grow">
              Runs
            </h2>
            <Link href={`/runs?pipeline=${encodeURIComponent(pipeline.id)}`}>All runs</Link>
          </div>
          <div className="panel-body stack">
            {runs === undefined ? null : runs.length === 0 ? (
              <p className="muted">It has not run yet.</p>
            ) : (
              <>
                <History runs={runs} />
                <RunLines runs={runs.slice(0, 8)} />
              </>
            )}
          </div>
        </section>
      </div>
      <div className="stack">
        {runs !== undefined && runs.length > 0 && (
          <section className="panel" aria-labelledby="sums">
            <div className="panel-title">
              <h2 id="sums">Last {runs.length === 1 ? "run" : `${runs.length} runs`}</h2>
            </div>
            <div className="panel-body">
              <HistorySums runs={runs} />
            </div>
          </section>
        )}
        <Triggers pipeline={pipeline.name} />
        <section className="panel" aria-labelledby="inputs">
          <div className="panel-title">
            <h2 id="inputs">Inputs</h2>
          </div>
          <div className="panel-body">
            <Inputs schema={pipeline.inputs} />
          </div>
        </section>
      </div>
    </div>
  );
}

function Inputs({ schema }: { schema: Schema }) {
  const inputs = Object.entries(schema.properties ?? {});
  if (inputs.length === 0) {
    return <p className="muted">It has no inputs.</p>;
  }
  return (
    <dl className="input-list">
      {inputs.map(([name, each]) => (
        <div key={name}>
          <dt>
            <code>{name}</code>
            <span className="muted small">
              {each.writeOnly ? "secret" : each.enum !== undefined ? "choice" : each.format === "path" ? "file" : typeOf(each) || "any value"}
              {!(schema.required ?? []).includes(name) && ", optional"}
            </span>
          </dt>
          <dd>
            {[
              each.description,
              each.enum !== undefined ? each.enum.map((choice) => (typeof choice === "string" ? choice : JSON.stringify(choice))).join(", ") : expectation(each),
              each.default !== undefined && `by default ${JSON.stringify(each.default)}`,
            ]
              .filter(Boolean)
              .join(" · ")}
          </dd>
        </div>
      ))}
    </dl>
  );
}

function RunLines({ runs }: { runs: RunView[] }) {
  return (
    <table className="run-lines of-pipeline">
      <thead>
        <tr>
          <th scope="col">State</th>
          <th scope="col">Run</th>
          <th scope="col" className="number">
            Cost
          </th>
          <th scope="col" className="number">
            Time
          </th>
          <th scope="col" className="number">
            Started
          </th>
        </tr>
      </thead>
      <tbody>
        {runs.map((run) => (
          <tr key={run.run_id}>
            <td>
              <StateBadge state={run.state} />
            </td>
            <td>
              <Link href={runAddress(run.run_id)}>
                <code>{run.run_id}</code>
              </Link>
            </td>
            <td className="number">{cost(run)}</td>
            <td className="number">
              <Elapsed id={run.run_id} measured={run.elapsed} running={isWorking(run)} />
            </td>
            <td className="number muted">
              <Time at={run.created_at} />
            </td>
          </tr>
        ))}
      </tbody>
    </table>
  );
}
