/** The pipelines that the server offers, with their newest runs. */
import { useMutation, useQuery } from "@tanstack/react-query";
import { CircleAlert, Play, Plus, TriangleAlert } from "lucide-react";
import { useMemo, useRef, useState } from "react";
import { Link, useLocation } from "wouter";

import { client, data } from "../api/client";
import { queryClient, useMay } from "../api/queries";
import type { PipelineSummary, RunView } from "../api/types";
import { pipelineAddress, startAddress, useParameter } from "../shared/address";
import { Dialog } from "../shared/Dialog";
import { plural } from "../shared/format";
import { useShortcuts } from "../shared/keys";
import { ProblemNotice } from "../shared/ProblemNotice";
import { Time } from "../shared/Time";
import { History } from "./History";
import { pipelinesQuery } from "./pipelines_query";
import "./pipelines.css";

const RECENT = 200;

export function PipelinesPage() {
  const pipelines = useQuery({ ...pipelinesQuery, refetchInterval: 10_000 });
  const recent = useQuery({
    queryKey: ["runs", "recent"],
    queryFn: ({ signal }) => data(client.GET("/v1/runs", { params: { query: { limit: RECENT } }, signal })),
    refetchInterval: 10_000,
  });
  const [text, setText] = useParameter("text");
  const [creating, setCreating] = useState(false);
  const search = useRef<HTMLInputElement>(null);
  const mayEdit = useMay("admin");
  useShortcuts([{ keys: "/", meaning: "Search", run: () => search.current?.focus() }]);
  const runsOf = useMemo(() => Map.groupBy(recent.data?.runs ?? [], (run) => run.pipeline), [recent.data]);
  const wanted = text.trim().toLowerCase();
  const shown = (pipelines.data?.pipelines ?? []).filter((each) =>
    [each.name, each.title, each.description].some((part) => part.toLowerCase().includes(wanted)),
  );
  return (
    <main>
      <div className="page-head">
        <h1 className="grow">Pipelines</h1>
        <input
          ref={search}
          className="input small pipeline-search"
          type="search"
          placeholder="Search"
          aria-label="Search pipelines"
          value={text}
          onChange={(event) => setText(event.target.value)}
        />
        {mayEdit && (
          <button type="button" className="button" onClick={() => setCreating(true)}>
            <Plus size={14} aria-hidden /> New
          </button>
        )}
      </div>
      {pipelines.isError && pipelines.data === undefined && (
        <div className="page-body">
          <ProblemNotice error={pipelines.error} />
        </div>
      )}
      {pipelines.data?.pipelines.length === 0 && (
        <div className="empty stack">
          <h1>This server offers no pipelines yet</h1>
          <p className="muted">
            It offers the YAML files in its directory, or in those that <code>pipelines</code> of <code>[serve]</code> in{" "}
            <code>orchestrator.toml</code> lists. <code>orchestrator init</code> writes a first one.
          </p>
        </div>
      )}
      {shown.length > 0 && (
        <table className="pipelines">
          <thead>
            <tr>
              <th scope="col">Pipeline</th>
              <th scope="col" className="wide">
                Inputs
              </th>
              <th scope="col" className="wide">
                Last runs
              </th>
              <th scope="col" className="wide number">
                Last run
              </th>
              <th scope="col">
                <span className="visually-hidden">Start</span>
              </th>
            </tr>
          </thead>
          <tbody>
            {shown.map((pipeline) => (
              <PipelineRow key={pipeline.name} pipeline={pipeline} runs={runsOf.get(pipeline.id) ?? []} />
            ))}
          </tbody>
        </table>
      )}
      {wanted !== "" && pipelines.data !== undefined && shown.length === 0 && (
        <div className="empty">
          <h1>No pipeline matches</h1>
        </div>
      )}
      {creating && <NewPipeline onClose={() => setCreating(false)} />}
    </main>
  );
}

function PipelineRow({ pipeline, runs }: { pipeline: PipelineSummary; runs: RunView[] }) {
  const mayRun = useMay("run");
  const inputs = Object.keys((pipeline.inputs["properties"] as object | undefined) ?? {});
  const last = runs[0];
  return (
    <tr>
      <td>
        <div className="pipeline-name">
          <Link href={pipelineAddress(pipeline.name)} className="row-title">
            {pipeline.title}
          </Link>
          {pipeline.name !== pipeline.title && <code className="muted">{pipeline.name}</code>}
          <Problems pipeline={pipeline} />
        </div>
        {pipeline.description !== "" && <div className="muted">{pipeline.description}</div>}
      </td>
      <td className="wide muted">
        <span className="inputs-of">{inputs.join(", ")}</span>
      </td>
      <td className="wide">{runs.length > 0 && <History runs={runs.slice(0, 12)} compact />}</td>
      <td className="wide number muted">{last !== undefined && <Time at={last.created_at} />}</td>
      <td className="number">
        {mayRun && pipeline.ok && (
          <Link href={startAddress(pipeline.name)} className="button" aria-label={`Start ${pipeline.title}`}>
            <Play size={14} aria-hidden /> Start
          </Link>
        )}
      </td>
    </tr>
  );
}

export function Problems({ pipeline }: { pipeline: PipelineSummary }) {
  if (pipeline.errors > 0) {
    return (
      <span className="state failed">
        <CircleAlert size={14} aria-hidden /> {plural(pipeline.errors, "error")}
      </span>
    );
  }
  return pipeline.warnings > 0 ? (
    <span className="state waiting">
      <TriangleAlert size={14} aria-hidden /> {plural(pipeline.warnings, "warning")}
    </span>
  ) : null;
}

function NewPipeline({ onClose }: { onClose: () => void }) {
  const [, navigate] = useLocation();
  const create = useMutation({
    mutationFn: (name: string) => data(client.POST("/v1/pipelines", { body: { name } })),
    onSuccess: (made) => {
      void queryClient.invalidateQueries({ queryKey: ["pipelines"] });
      navigate(`${pipelineAddress(made.name)}?tab=source`);
    },
  });
  return (
    <Dialog title="New pipeline" onClose={onClose}>
      <form
        className="stack"
        onSubmit={(event) => {
          event.preventDefault();
          create.mutate(String(new FormData(event.currentTarget).get("name")).trim());
        }}
      >
        <div className="field">
          <label htmlFor="new-name">Name</label>
          <input id="new-name" name="name" className="input mono" maxLength={200} required autoFocus placeholder="reports/weekly" />
          <span className="hint">The server writes NAME.yaml into its directory, with comments that explain each part.</span>
        </div>
        {create.isError && <ProblemNotice error={create.error} />}
        <div className="dialog-actions">
          <button type="button" className="button" onClick={onClose}>
            Back
          </button>
          <button type="submit" className="button primary" disabled={create.isPending}>
            Create
          </button>
        </div>
      </form>
    </Dialog>
  );
}
