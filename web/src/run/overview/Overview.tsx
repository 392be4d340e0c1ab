/** What a person comes for, without a click: why it failed, what it asks, what runs and on what it waits, the outputs. */
import { useQuery } from "@tanstack/react-query";
import { useContext } from "react";

import { hasEnded, type RunView, type StepActivity } from "../../api/types";
import { QuestionForm } from "../../forms/QuestionForm";
import { isOpen } from "../../questions/open_questions";
import { count, duration, exactTime, plural } from "../../shared/format";
import { useNow } from "../../shared/now";
import { Prose } from "../../shared/Prose";
import { StateIcon, waitWords } from "../../shared/State";
import { Time, useElapsed } from "../../shared/Time";
import { Value } from "../../shared/Value";
import { usePartial } from "../feed";
import { resultQuery, timelineQuery } from "../run_data";
import { StoppedContext } from "../run_state";
import type { Selection } from "../selection";
import { History } from "./History";
import { Inputs } from "./Inputs";
import { Notices } from "./Notices";
import { RunFailure } from "./RunFailure";
import { Spending } from "./Spending";
import { WrittenFiles } from "./WrittenFiles";

export function Overview({ run, selection }: { run: RunView; selection: Selection }) {
  const questions = run.active.filter(isOpen);
  const working = run.active.filter((step) => !isOpen(step) && step.kind === "");
  return (
    <div className="side-body">
      {run.error !== null && <RunFailure run={run} selection={selection} />}
      {run.state === "cancelled" && run.reason !== "" && (
        <div className="notice">
          <div>Cancelled: {run.reason}</div>
        </div>
      )}
      {run.not_before !== null && (
        <div className="notice waiting">
          <div>
            It starts <Time at={run.not_before} />, at {exactTime(run.not_before)}.
          </div>
        </div>
      )}
      {run.state === "queued" && run.owner === null && (
        <div className="notice waiting">
          <div>It waits for {run.waiting_on.join(", and for ")}.</div>
        </div>
      )}
      {run.compensating && !hasEnded(run) && (
        <div className="notice waiting">
          <div>The run is undoing what its steps did, the last one first. Then it ends.</div>
        </div>
      )}
      {run.state === "interrupted" && (
        <div className="notice waiting">
          <div>The process that executed this run has ended. A server continues it by itself if it can; otherwise resume it.</div>
        </div>
      )}
      {questions.map((step) => (
        <div key={step.path} className="panel panel-body">
          <div className="row">
            <StepLink path={step.path} selection={selection} />
            <span className="grow" />
            <span className="muted small">
              asked <Time at={step.started_at} />
            </span>
          </div>
          <QuestionForm runId={run.run_id} step={step} />
        </div>
      ))}
      {working.length > 0 && <Working run={run} steps={working} selection={selection} />}
      {run.state === "succeeded" && <Outputs run={run} />}
      {run.failures.length > 0 && <Continued run={run} selection={selection} />}
      {run.warnings.length > 0 && (
        <section>
          <h2>Warnings</h2>
          <ul className="plain">
            {run.warnings.map((warning) => (
              <li key={warning}>
                <Prose text={warning} />
              </li>
            ))}
          </ul>
        </section>
      )}
      <Notices run={run} />
      <WrittenFiles selection={selection} />
      <Inputs runId={run.run_id} />
      <Spending run={run} selection={selection} />
      <History run={run} />
    </div>
  );
}

export function StepLink({ path, selection }: { path: string; selection: Selection }) {
  return (
    <button type="button" className="link mono" onClick={() => selection.change({ step: path, tab: "" })}>
      {path}
    </button>
  );
}

const MOST_WORKING = 12;

/** What runs now and since when, on what the rest waits, and how long earlier runs took. */
function Working({ run, steps, selection }: { run: RunView; steps: StepActivity[]; selection: Selection }) {
  return (
    <section>
      <h2>{run.state === "interrupted" ? "When its process ended" : "Now"}</h2>
      <ul className="plain working">
        {steps.slice(0, MOST_WORKING).map((step) => (
          <WorkingStep key={step.path} step={step} selection={selection} />
        ))}
      </ul>
      {steps.length > MOST_WORKING && <p className="muted">and {plural(steps.length - MOST_WORKING, "more step")}</p>}
      {run.state === "running" && <Estimated run={run} />}
    </section>
  );
}

function WorkingStep({ step, selection }: { step: StepActivity; selection: Selection }) {
  const now = useNow();
  const stopped = useContext(StoppedContext);
  const text = usePartial(step.path);
  const waits = step.waiting_on !== "" && step.waiting_on !== "handler";
  return (
    <li>
      <div className="row">
        <StateIcon state={stopped && step.state === "running" ? "interrupted" : step.state} waitsFor={step.waiting_on} />
        <StepLink path={step.path} selection={selection} />
        <span className="grow" />
        {!stopped && <span className="muted">{duration(Math.max(0, now - step.started_at))}</span>}
      </div>
      <div className="muted small working-about">
        {step.attempt > 1 && <>attempt {step.attempt} </>}
        {waits && <>{waitWords(step.waiting_on)} </>}
        {waits && step.waiting_until !== null && <Time at={step.waiting_until} />}
        {step.fraction !== null && <>{Math.round(step.fraction * 100)}% </>}
        {step.message}
      </div>
      {text !== "" && <pre className="live-text">{text.slice(-600)}</pre>}
    </li>
  );
}

function Estimated({ run }: { run: RunView }) {
  const timeline = useQuery(timelineQuery(run.run_id, ""));
  const elapsed = useElapsed(run.run_id, run.elapsed);
  const estimate = timeline.data?.estimate;
  if (!estimate) {
    return null;
  }
  const left = estimate.seconds - elapsed;
  return (
    <p className="muted">
      {plural(estimate.runs, "earlier run")} took {duration(estimate.seconds)}
      {left > 0 ? `: about ${duration(Math.ceil(left))} left.` : ": this one takes longer than usual."}
    </p>
  );
}

function Outputs({ run }: { run: RunView }) {
  const result = useQuery(resultQuery(run.run_id));
  const outputs = Object.entries(result.data?.outputs ?? {});
  if (result.data === undefined) {
    return null;
  }
  return (
    <section className="stack">
      {outputs.length === 0 && <p className="muted">The pipeline declares no outputs: select a step to see what it returned.</p>}
      {outputs.map(([name, value]) => (
        <div key={name}>
          <h2>{name}</h2>
          <Value value={value} />
        </div>
      ))}
    </section>
  );
}

/** Failures that the run continued after. */
function Continued({ run, selection }: { run: RunView; selection: Selection }) {
  return (
    <section>
      <h2>Continued despite {plural(run.failures.length, "failure")}</h2>
      <div className="row wrap">
        {inOrder(run.failures).slice(0, 20).map((path) => (
          <button key={path} type="button" className="chip failed-chip" onClick={() => selection.change({ step: path, tab: "error" })}>
            {path}
          </button>
        ))}
        {run.failures.length > 20 && <span className="muted">and {count(run.failures.length - 20)} more</span>}
      </div>
    </section>
  );
}

/** Paths by their names and numbers, whichever failed first. */
function inOrder(paths: readonly string[]): string[] {
  return [...paths].sort((one, other) => one.localeCompare(other, "en", { numeric: true }));
}
