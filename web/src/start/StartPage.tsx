/** Starting a run: its inputs, budget and labels, and what it may cost, before the button. */
import { useMutation, useQuery } from "@tanstack/react-query";
import { Play } from "lucide-react";
import { type FormEvent, useEffect, useId, useMemo, useState } from "react";
import { Link, useLocation, useSearchParams } from "wouter";

import { client, data } from "../api/client";
import { Problem } from "../api/problem";
import { queryClient, useMay } from "../api/queries";
import type { PipelineView } from "../api/types";
import { SchemaFields, useSchemaForm } from "../forms/SchemaForm";
import { isRecord, type Schema } from "../forms/schema";
import { planQuery, statusQuery } from "../run/run_data";
import { pipelineAddress, runAddress } from "../shared/address";
import { ProblemNotice } from "../shared/ProblemNotice";
import { randomKey } from "../shared/random_key";
import { Forecast } from "./Forecast";
import "./start.css";

export function StartPage({ name }: { name: string }) {
  const given = useGiven();
  const found = useQuery({
    queryKey: ["pipeline", name],
    queryFn: ({ signal }) => data(client.GET("/v1/pipelines/{name}", { params: { path: { name } }, signal })),
  });
  if (found.data === undefined) {
    return <main className="page-body">{found.isError && <ProblemNotice error={found.error} />}</main>;
  }
  const pipeline = found.data;
  if (given === undefined) {
    return <main className="page-body" aria-busy />;
  }
  return (
    <main>
      <div className="page-head">
        <h1 className="grow">Start {pipeline.title}</h1>
        <Link href={pipelineAddress(name)} className="button">
          Show the pipeline
        </Link>
      </div>
      <div className="page-body">
        {pipeline.ok ? (
          <StartForm pipeline={pipeline} given={given} />
        ) : (
          <div className="empty stack">
            <h1>It has errors, and cannot be started</h1>
            <div>
              <Link href={`${pipelineAddress(name)}?tab=source`} className="button primary">
                Show the errors
              </Link>
            </div>
          </div>
        )}
      </div>
    </main>
  );
}

/** What the form is filled with: the inputs, labels and budget of an earlier run, or inputs in the address. */
interface Given {
  inputs: Record<string, unknown>;
  labels: readonly string[];
  budget: Record<string, number>;
}

/** Inputs in the address, `?inputs={"topic":"…"}`, so that a filled form can be linked. */
function inputsIn(text: string): Record<string, unknown> {
  try {
    const found: unknown = JSON.parse(text || "{}");
    return isRecord(found) ? found : {};
  } catch {
    return {};
  }
}

/** Returns what the form is filled with; undefined while an earlier run, `?run=`, is read. */
function useGiven(): Given | undefined {
  const [parameters] = useSearchParams();
  const run = parameters.get("run") ?? "";
  const text = parameters.get("inputs") ?? "";
  const plan = useQuery({ ...planQuery(run), enabled: run !== "" });
  const status = useQuery({ ...statusQuery(run), enabled: run !== "", refetchInterval: false });
  return useMemo(() => {
    if (run === "" || plan.isError || status.isError) {
      return { inputs: inputsIn(text), labels: [], budget: {} };
    }
    if (plan.data === undefined || status.data === undefined) {
      return undefined;
    }
    const { secrets } = plan.data;
    const inputs = Object.fromEntries(Object.entries(plan.data.inputs).filter(([name, value]) => value !== null && !secrets.includes(name)));
    return { inputs, labels: plan.data.labels, budget: status.data.budget ?? {} };
  }, [run, text, plan.data, plan.isError, status.data, status.isError]);
}

function StartForm({ pipeline, given }: { pipeline: PipelineView; given: Given }) {
  const [, navigate] = useLocation();
  const mayRun = useMay("run");
  const form = useSchemaForm(pipeline.inputs as Schema, given.inputs);
  const [labels, setLabels] = useState(given.labels.join(", "));
  const [usd, setUsd] = useState(limitOf(pipeline, given, "usd"));
  const [later, setLater] = useState("");
  const [tokens, setTokens] = useState(limitOf(pipeline, given, "tokens"));
  const budget = useMemo(() => budgetOf(usd, tokens), [usd, tokens]);
  // A repeated click, or a repeated request after a lost response, starts one run; another form starts another one.
  const request = JSON.stringify([form.values, labels, usd, tokens, later]);
  const key = useMemo(() => (request === "" ? "" : randomKey()), [request]);
  const start = useMutation({
    mutationFn: () =>
      data(
        client.POST("/v1/runs", {
          params: { header: { "Idempotency-Key": key } },
          body: {
            pipeline: pipeline.name,
            inputs: form.values,
            labels: labelsOf(labels),
            ...(budget.value && { budget: budget.value }),
            ...(later !== "" && { not_before: new Date(later).getTime() / 1000 }),
          },
        }),
      ),
    onSuccess: ({ run }) => {
      void queryClient.invalidateQueries({ queryKey: ["runs"] });
      navigate(runAddress(run.run_id));
    },
  });
  const submit = (event: FormEvent): void => {
    event.preventDefault();
    form.show();
    if (!form.isWrong && budget.problem === undefined) {
      start.mutate();
    } else {
      requestAnimationFrame(() => document.querySelector<HTMLElement>("[aria-invalid='true']")?.focus());
    }
  };
  const settled = useSettled({ values: form.values, isComplete: !form.isWrong });
  const problems = start.error instanceof Problem ? ((start.error.document["problems"] as string[] | undefined) ?? []) : [];
  return (
    <div className="start-columns">
      <form className="stack" onSubmit={submit} noValidate>
        {pipeline.description !== "" && <p className="muted">{pipeline.description}</p>}
        <SchemaFields form={form} problems={problems} />
        <details className="options" open={usd !== "" || tokens !== "" || labels !== ""}>
          <summary>Budget, labels and time</summary>
          <div className="stack tight">
            <Budget {...{ pipeline, usd, setUsd, tokens, setTokens }} problem={budget.problem} />
            <LabelsField labels={labels} onChange={setLabels} />
            <LaterField later={later} onChange={setLater} />
          </div>
        </details>
        {start.isError && <ProblemNotice error={start.error} />}
        <div className="row">
          <button type="submit" className="button primary" disabled={!mayRun || start.isPending}>
            <Play size={14} aria-hidden /> {later === "" ? "Start the run" : "Schedule the run"}
          </button>
          {!mayRun && <span className="muted">Your token lacks the scope run.</span>}
        </div>
      </form>
      <Forecast pipeline={pipeline.name} inputs={settled.values} isComplete={settled.isComplete} usd={budget.value?.usd ?? null} />
    </div>
  );
}

/** The limit that an earlier run had of its own, beside the one that the pipeline declares. */
function limitOf(pipeline: PipelineView, given: Given, unit: "usd" | "tokens"): string {
  const limit = given.budget[unit];
  return limit === undefined || limit === pipeline.budget?.[unit] ? "" : String(limit);
}

function LabelsField({ labels, onChange }: { labels: string; onChange: (labels: string) => void }) {
  const id = useId();
  return (
    <div className="field">
      <label htmlFor={id}>
        Labels <span className="muted small">optional</span>
      </label>
      <input id={id} className="input" value={labels} maxLength={1_000} onChange={(event) => onChange(event.target.value)} aria-describedby={`${id}-hint`} />
      <span id={`${id}-hint`} className="hint">
        Words by which the run can be found, separated by commas.
      </span>
    </div>
  );
}

function LaterField({ later, onChange }: { later: string; onChange: (later: string) => void }) {
  const id = useId();
  return (
    <div className="field">
      <label htmlFor={id}>
        Not before <span className="muted small">optional</span>
      </label>
      <input
        id={id}
        className="input"
        type="datetime-local"
        value={later}
        onChange={(event) => onChange(event.target.value)}
        aria-describedby={`${id}-hint`}
      />
      <span id={`${id}-hint`} className="hint">
        In the time zone of this browser. For runs that repeat, the pipeline declares <code>triggers</code>.
      </span>
    </div>
  );
}

function Budget({
  pipeline,
  usd,
  setUsd,
  tokens,
  setTokens,
  problem,
}: {
  pipeline: PipelineView;
  usd: string;
  setUsd: (text: string) => void;
  tokens: string;
  setTokens: (text: string) => void;
  problem: string | undefined;
}) {
  const id = useId();
  const standing = pipeline.budget ?? {};
  return (
    <>
      <div className="budget">
        <div className="field">
          <label htmlFor={`${id}-usd`}>At most, US dollars</label>
          <input
            id={`${id}-usd`}
            className="input"
            inputMode="decimal"
            placeholder={standing["usd"] === undefined ? "no limit" : String(standing["usd"])}
            value={usd}
            aria-describedby={`${id}-hint`}
            aria-invalid={problem !== undefined}
            onChange={(event) => setUsd(event.target.value)}
          />
        </div>
        <div className="field">
          <label htmlFor={`${id}-tokens`}>At most, tokens</label>
          <input
            id={`${id}-tokens`}
            className="input"
            inputMode="numeric"
            placeholder={standing["tokens"] === undefined ? "no limit" : String(standing["tokens"])}
            value={tokens}
            aria-describedby={`${id}-hint`}
            aria-invalid={problem !== undefined}
            onChange={(event) => setTokens(event.target.value)}
          />
        </div>
      </div>
      <span id={`${id}-hint`} className="field">
        <span className="hint">A run that reaches its budget stops before the next model call, and can be resumed with a larger one.</span>
        {problem !== undefined && <span className="wrong">{problem}</span>}
      </span>
    </>
  );
}

interface BudgetEntry {
  value?: { usd: number | null; tokens: number | null };
  problem?: string;
}

function budgetOf(usd: string, tokens: string): BudgetEntry {
  const [dollars, count] = [usd.trim(), tokens.trim()].map((text) => (text === "" ? null : Number(text.replaceAll(",", ""))));
  const isBad = (number: number | null | undefined): boolean => number !== null && number !== undefined && !(number >= 0);
  if (isBad(dollars) || isBad(count) || (count !== null && !Number.isInteger(count))) {
    return { problem: "A budget is a number, such as 0.50." };
  }
  return dollars === null && count === null ? {} : { value: { usd: dollars ?? null, tokens: count ?? null } };
}

function labelsOf(text: string): string[] {
  return [...new Set(text.split(",").map((label) => label.trim()))].filter((label) => label !== "");
}

/** Returns a value once it has not changed for a moment. */
function useSettled<T>(value: T): T {
  const [settled, setSettled] = useState(value);
  const text = JSON.stringify(value);
  useEffect(() => {
    const timer = window.setTimeout(() => setSettled(JSON.parse(text) as T), 400);
    return () => window.clearTimeout(timer);
  }, [text]);
  return settled;
}
