/** The question before each command, with what it will do, and the secrets that it needs again. */
import { useQuery } from "@tanstack/react-query";
import { useId, useState } from "react";
import { useLocation } from "wouter";

import { Problem } from "../../api/problem";
import type { RunView } from "../../api/types";
import { SchemaFields, type SchemaForm, useSchemaForm } from "../../forms/SchemaForm";
import type { Schema } from "../../forms/schema";
import { runAddress } from "../../shared/address";
import { Confirm, Dialog } from "../../shared/Dialog";
import { plural } from "../../shared/format";
import { ProblemNotice } from "../../shared/ProblemNotice";
import { againQuery, planQuery } from "../run_data";
import type { Again, Plan } from "../types";
import { type Budget, useCommand } from "./commands";

export interface RunDialog {
  run: RunView;
  onClose: () => void;
}

export function PauseDialog({ run, onClose }: RunDialog) {
  const [now, setNow] = useState(false);
  const command = useCommand(run.run_id, onClose);
  const working = run.running.length;
  return (
    <Confirm
      title="Pause this run?"
      action="Pause"
      busy={command.isPending}
      onConfirm={() => command.mutate({ kind: "pause", now })}
      onClose={onClose}
    >
      <p>No new step starts until somebody resumes the run.</p>
      {working > 0 && (
        <label className="row">
          <input type="checkbox" checked={now} onChange={(event) => setNow(event.target.checked)} />
          Also stop {plural(working, "running step")}; {working === 1 ? "it runs" : "they run"} again when the run is resumed
        </label>
      )}
      {command.isError && <ProblemNotice error={command.error} />}
    </Confirm>
  );
}

export function CancelDialog({ run, onClose }: RunDialog) {
  const [reason, setReason] = useState("");
  const field = useId();
  const command = useCommand(run.run_id, onClose);
  return (
    <Confirm
      title="Cancel this run?"
      action="Cancel the run"
      danger
      busy={command.isPending}
      onConfirm={() => command.mutate({ kind: "cancel", reason: reason.trim() })}
      onClose={onClose}
    >
      <p>
        {run.running.length > 0 ? `It stops ${plural(run.running.length, "running step")}. ` : ""}
        Steps that succeeded keep their results, and the run can be resumed.
      </p>
      <div className="field">
        <label htmlFor={field}>
          Reason <span className="muted small">optional, recorded with the run</span>
        </label>
        <input id={field} className="input" maxLength={1000} value={reason} onChange={(event) => setReason(event.target.value)} />
      </div>
      {command.isError && <ProblemNotice error={command.error} />}
    </Confirm>
  );
}

export function ResumeDialog({ run, onClose, budget }: RunDialog & { budget?: Budget | undefined }) {
  return (
    <WithPlan runId={run.run_id} title="Resume this run?" onClose={onClose}>
      {(plan) => <Resume {...{ run, plan, onClose, budget }} />}
    </WithPlan>
  );
}

function Resume({ run, plan, onClose, budget }: RunDialog & { plan: Plan; budget?: Budget | undefined }) {
  const command = useCommand(run.run_id, onClose);
  const secrets = useSchemaForm(secretsSchema(plan));
  const done = (run.counts as Record<string, number>)["succeeded"] ?? 0;
  const words = budget === undefined ? "" : `, with a budget of ${budgetWords(budget)}`;
  return (
    <>
      <p>
        It continues{words}. {plural(done, "step")} that succeeded {done === 1 ? "is" : "are"} not run again, and no answer of a
        model is paid for twice.
      </p>
      <Secrets plan={plan} form={secrets} error={command.error} />
      <Buttons
        action="Resume"
        busy={command.isPending}
        onClose={onClose}
        onConfirm={() => {
          secrets.show();
          if (!secrets.isWrong) {
            command.mutate({ kind: "resume", inputs: secrets.values, ...(budget !== undefined && { budget }) });
          }
        }}
      />
    </>
  );
}

/** Runs a step again, with all that depends on it. */
export function RetryDialog({ run, step, onClose }: RunDialog & { step: string }) {
  return (
    <WithPlan runId={run.run_id} title="Run this step again?" onClose={onClose}>
      {(plan) => <Retry {...{ run, step, plan, onClose }} />}
    </WithPlan>
  );
}

function Retry({ run, step, plan, onClose }: RunDialog & { step: string; plan: Plan }) {
  const command = useCommand(run.run_id, onClose);
  const secrets = useSchemaForm(secretsSchema(plan));
  const again = useQuery(againQuery(run.run_id, step));
  return (
    <>
      {again.isError && <ProblemNotice error={again.error} />}
      {again.data === undefined ? !again.isError && <p className="muted">Reading what depends on it</p> : <RunsAgain again={again.data} />}
      <Secrets plan={plan} form={secrets} error={command.error} />
      <Buttons
        action="Run it again"
        busy={command.isPending}
        disabled={again.data === undefined}
        onClose={onClose}
        onConfirm={() => {
          secrets.show();
          if (!secrets.isWrong) {
            command.mutate({ kind: "retry", step, inputs: secrets.values });
          }
        }}
      />
    </>
  );
}

function RunsAgain({ again }: { again: Again }) {
  return (
    <p>
      <code>{again.path}</code> runs again
      {again.later_rounds.length > 0 && (
        <>
          , then what comes after it in <Codes names={again.later_rounds} />
        </>
      )}
      {again.count > 0 && (
        <>
          , and then what depends on it: <Codes names={again.steps} count={again.count} />
        </>
      )}
      . Their results are dropped; everything else is kept.
    </p>
  );
}

/** Starts another run from a step on, with edited inputs. */
export function ForkDialog({ run, step = "", onClose }: RunDialog & { step?: string }) {
  return (
    <WithPlan runId={run.run_id} title="Fork this run" onClose={onClose}>
      {(plan) => <Fork {...{ run, step, plan, onClose }} />}
    </WithPlan>
  );
}

function Fork({ run, step, plan, onClose }: RunDialog & { step: string; plan: Plan }) {
  const [, navigate] = useLocation();
  const top = plan.nodes.filter((node) => node.parent === "" && node.section === "");
  const [from, setFrom] = useState(step || String((run.error as { step?: string } | null)?.step ?? "") || (top[0]?.path ?? ""));
  const given = Object.fromEntries(Object.entries(plan.inputs).filter(([name]) => !plan.secrets.includes(name)));
  const form = useSchemaForm(plan.inputs_schema as Schema, given);
  const field = useId();
  const command = useCommand(run.run_id, (forked) => {
    onClose();
    navigate(runAddress(forked.run_id));
  });
  const steps = top.some((node) => node.path === from) ? top.map((node) => node.path) : [from, ...top.map((node) => node.path)];
  const changed = Object.fromEntries(
    Object.entries(form.values).filter(([name, value]) => plan.secrets.includes(name) || JSON.stringify(value) !== JSON.stringify(given[name])),
  );
  return (
    <>
      <p>A new run starts that shares the results of this one up to a step. This run does not change.</p>
      <div className="field">
        <label htmlFor={field}>First step that runs again</label>
        <select id={field} className="input" value={from} onChange={(event) => setFrom(event.target.value)}>
          {steps.map((path) => (
            <option key={path}>{path}</option>
          ))}
        </select>
        {Object.keys(changed).length > 0 && (
          <span className="hint">Steps before it keep their results, even if they read an input that you have edited.</span>
        )}
      </div>
      <SchemaFields form={form} problems={problemsOf(command.error)} />
      {command.isError && <ProblemNotice error={command.error} />}
      <Buttons
        action="Start the fork"
        busy={command.isPending}
        onClose={onClose}
        onConfirm={() => {
          form.show();
          if (!form.isWrong) {
            command.mutate({ kind: "fork", step: from, inputs: changed });
          }
        }}
      />
    </>
  );
}

export function Buttons({
  action,
  busy,
  danger = false,
  disabled = false,
  onConfirm,
  onClose,
}: {
  action: string;
  busy: boolean;
  danger?: boolean;
  disabled?: boolean;
  onConfirm: () => void;
  onClose: () => void;
}) {
  return (
    <div className="dialog-actions">
      <button type="button" className="button" onClick={onClose}>
        Back
      </button>
      <button type="button" className={`button ${danger ? "danger" : "primary"}`} disabled={busy || disabled} onClick={onConfirm}>
        {action}
      </button>
    </div>
  );
}

/** A dialog that needs the plan of the run. */
export function WithPlan({
  runId,
  title,
  onClose,
  children,
}: {
  runId: string;
  title: string;
  onClose: () => void;
  children: (plan: Plan) => React.ReactNode;
}) {
  const plan = useQuery(planQuery(runId));
  return (
    <Dialog title={title} onClose={onClose}>
      {plan.isError && <ProblemNotice error={plan.error} />}
      {plan.data !== undefined && children(plan.data)}
    </Dialog>
  );
}

/** The fields for the secrets of a run, which are never stored; and why a command was refused. */
export function Secrets({ plan, form, error }: { plan: Plan; form: SchemaForm; error: unknown }) {
  return (
    <>
      {plan.secrets.length > 0 && <p className="muted">Secrets are never stored with a run, so it needs them again.</p>}
      <SchemaFields form={form} problems={problemsOf(error)} />
      {error !== null && error !== undefined && <ProblemNotice error={error} />}
    </>
  );
}

/** The schema of the secrets that a run needs again. They may also come from the environment of the server. */
export function secretsSchema(plan: Plan): Schema {
  const { properties = {}, required = [] } = plan.inputs_schema as Schema;
  return {
    type: "object",
    properties: Object.fromEntries(Object.entries(properties).filter(([name]) => plan.secrets.includes(name))),
    required: required.filter((name) => plan.secrets.includes(name)),
  };
}

function problemsOf(error: unknown): string[] {
  const found = error instanceof Problem ? error.document["problems"] : undefined;
  return Array.isArray(found) ? found.map(String) : [];
}

const SHOWN = 6;

/** The first of some names, of which there are `count`. */
export function Codes({ names, count = names.length }: { names: readonly string[]; count?: number }) {
  return (
    <>
      {names.slice(0, SHOWN).map((name, index) => (
        <span key={name}>
          {index > 0 && ", "}
          <code>{name}</code>
        </span>
      ))}
      {count > SHOWN && ` and ${count - SHOWN} more`}
    </>
  );
}

/** Reads a budget as remedies write it, such as `2usd`. */
export function budgetOf(text: string | undefined): Budget | undefined {
  const found = /^([\d.]+)(usd|tokens|requests)$/.exec(text ?? "");
  return found === null ? undefined : { [found[2] as keyof Budget]: Number(found[1]) };
}

export function budgetWords(budget: Budget): string {
  return Object.entries(budget)
    .map(([unit, amount]) => (unit === "usd" ? `$${amount}` : plural(Number(amount), unit.replace(/s$/, ""))))
    .join(", ");
}
