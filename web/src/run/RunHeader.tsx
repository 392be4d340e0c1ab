/** The head of a run: what it is, how it stands, what it has cost, who did what last, and what can be done with it. */
import { useQuery } from "@tanstack/react-query";
import { Link } from "wouter";

import { hasEnded, type RunView } from "../api/types";
import { pipelineAddress, runAddress } from "../shared/address";
import { cost, count, duration, money, plural } from "../shared/format";
import { isWorking, RunBadge } from "../shared/RunBadge";
import { Elapsed, Time } from "../shared/Time";
import { RunActions } from "./actions/RunActions";
import { CopyButton } from "./CopyButton";
import { historyQuery, startQuery } from "./run_data";
import type { Chapter } from "./types";

export function RunHeader({ run }: { run: RunView }) {
  const chapters = useQuery(historyQuery(run.run_id)).data?.chapters ?? [];
  const start = useQuery(startQuery(run.run_id)).data;
  return (
    <header className="runhead">
      <div className="runhead-title">
        <h1 className="truncate">{run.name || run.pipeline}</h1>
        <RunBadge run={run} />
        <span className="row runhead-id">
          <code className="muted">{run.run_id}</code>
          <CopyButton text={() => run.run_id} what="the run's id" />
        </span>
        <span className="grow" />
        <RunActions run={run} offered={start?.offered ?? null} />
      </div>
      <div className="runhead-facts muted">
        <Progress run={run} />
        <Worked run={run} />
        <Spent run={run} />
        <Begun run={run} chapters={chapters} />
        <Queued run={run} />
        <Last run={run} chapters={chapters} />
        {start !== undefined && start.offered !== null && (
          <span>
            pipeline <Link href={pipelineAddress(start.offered)}>{start.offered}</Link>
          </span>
        )}
        {start !== undefined && start.labels.length > 0 && (
          <span className="row wrap labels">
            {start.labels.map((label) => (
              <Link key={label} href={`/runs?label=${encodeURIComponent(label)}`} className="chip" title={`Runs labelled ${label}`}>
                {label}
              </Link>
            ))}
          </span>
        )}
      </div>
    </header>
  );
}

/** The working time; and how long the run took with its pauses and waits for people, where that is longer. */
function Worked({ run }: { run: RunView }) {
  const whole = run.ended_at === null || run.started_at === null ? run.elapsed : run.ended_at - run.started_at;
  const isLonger = whole > run.elapsed * 1.1 + 1;
  return (
    <span title="Working time: without pauses, waits for people, and times in which no process executed it">
      <Elapsed id={run.run_id} measured={run.elapsed} running={isWorking(run)} />
      {isLonger && <> of work within {duration(whole)}</>}
    </span>
  );
}

/** Who started the run, or forked it from another one, and when. */
function Begun({ run, chapters }: { run: RunView; chapters: Chapter[] }) {
  const forked = useQuery(historyQuery(run.run_id)).data?.forked_from;
  return (
    <span>
      {run.queued !== null && run.started_at === null ? "created" : "started"} <Time at={run.started_at ?? run.created_at} />
      <By name={chapters[0]?.by} />
      {forked && (
        <>
          {" "}
          as a fork of <Link href={runAddress(forked["run_id"] ?? "", forked["step"])}>{forked["run_id"]}</Link>
        </>
      )}
    </span>
  );
}

const AGAIN: Partial<Record<Chapter["kind"], string>> = { resumed: "resumed", retried: "retried", edited: "continued with an edit" };

/** What somebody did with the run since: the last of it, with who did it. */
function Last({ run, chapters }: { run: RunView; chapters: Chapter[] }) {
  const chapter = chapters.at(-1);
  const pause = chapter?.pauses.at(-1);
  const again = chapter === undefined ? undefined : AGAIN[chapter.kind];
  return (
    <>
      {chapter !== undefined && again !== undefined && (
        <span>
          {again} <Time at={chapter.at} />
          <By name={chapter.by} />
        </span>
      )}
      {run.state === "paused" && pause !== undefined && (
        <span>
          paused <Time at={pause.at} />
          <By name={pause.by} />
        </span>
      )}
      {run.ended_at !== null && (
        <span>
          {run.state} <Time at={run.ended_at} />
          <By name={chapter?.ended_by} />
        </span>
      )}
    </>
  );
}

export function By({ name }: { name: string | undefined }) {
  return name ? <> by {name}</> : null;
}

/** For which runs the run waits before it begins: they have its concurrency key. */
function Queued({ run }: { run: RunView }) {
  const queued = run.queued;
  if (queued === null || run.state !== "queued") {
    return null;
  }
  const shown = queued.runs.slice(0, 3);
  return (
    <span>
      waits for its turn: at most {plural(queued.max, "run")} with the key <code>{queued.key}</code> at a time
      {shown.map((id, index) => (
        <span key={id}>
          {index === 0 ? ", after " : ", "}
          <Link href={runAddress(id)} className="mono">
            {id}
          </Link>
        </span>
      ))}
      {queued.ahead > shown.length && ` and ${count(queued.ahead - shown.length)} more`}
    </span>
  );
}

function Progress({ run }: { run: RunView }) {
  const counts = run.counts as Record<string, number>;
  const ended = (counts["succeeded"] ?? 0) + (counts["failed"] ?? 0) + (counts["skipped"] ?? 0);
  return (
    <span className="row runhead-progress">
      <span
        className="bar"
        role="progressbar"
        aria-label="Progress"
        aria-valuenow={Math.round(run.progress * 100)}
        aria-valuemin={0}
        aria-valuemax={100}
      >
        <span className={hasEnded(run) ? run.state : "running"} style={{ width: `${run.progress * 100}%` }} />
      </span>
      {count(ended)} of {plural(run.total, "step")}
    </span>
  );
}

function Spent({ run }: { run: RunView }) {
  const spent = cost(run);
  const limit = run.budget?.["usd"];
  const tokens = run.usage.input + run.usage.output;
  if (spent === "" && limit === undefined) {
    return null;
  }
  return (
    <span title={`${count(run.usage.input)} tokens in, ${count(run.usage.output)} tokens out, ${count(run.model_calls)} calls`}>
      {spent || "$0"}
      {limit !== undefined && ` of ${money(limit)}`}
      {tokens > 0 && `, ${count(tokens)} tokens`}
    </span>
  );
}
