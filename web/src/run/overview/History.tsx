/** The run as one history: each time that somebody started, resumed, retried or edited it, and what was kept. */
import { useQuery } from "@tanstack/react-query";
import { Link } from "wouter";

import type { RunView } from "../../api/types";
import { runAddress } from "../../shared/address";
import { duration, plural } from "../../shared/format";
import { Prose } from "../../shared/Prose";
import { StateIcon, type AnyState } from "../../shared/State";
import { Time } from "../../shared/Time";
import { historyQuery } from "../run_data";
import type { Chapter } from "../types";

const WORDS: Record<Chapter["kind"], string> = {
  started: "Started",
  forked: "Forked",
  resumed: "Resumed",
  retried: "Retried",
  edited: "Continued with an edited pipeline",
};

export function History({ run }: { run: RunView }) {
  const history = useQuery(historyQuery(run.run_id));
  const chapters = history.data?.chapters ?? [];
  const forked = history.data?.forked_from;
  if (chapters.length < 2 && !forked && (chapters[0]?.pauses.length ?? 0) === 0) {
    return null;
  }
  return (
    <section>
      <h2>History</h2>
      <ol className="chapters">
        {forked && (
          <li className="muted">
            Shares what <Link href={runAddress(forked["run_id"] ?? "")}>{forked["run_id"]}</Link> achieved before{" "}
            <code>{forked["step"]}</code>
          </li>
        )}
        {chapters.map((chapter, index) => (
          <ChapterLine key={chapter.seq} run={run} chapter={chapter} isLast={index === chapters.length - 1} />
        ))}
      </ol>
    </section>
  );
}

function ChapterLine({ run, chapter, isLast }: { run: RunView; chapter: Chapter; isLast: boolean }) {
  const message = (chapter.error as { message?: string } | null)?.message;
  const state = (chapter.state || (isLast ? run.state : "running")) as AnyState;
  return (
    <li>
      <div>
        <strong>
          {WORDS[chapter.kind]} {chapter.step !== "" && <code>{chapter.step}</code>}
        </strong>
        {chapter.by !== "" && <> by {chapter.by}</>}, <Time at={chapter.at} />
      </div>
      {chapter.kept !== null && (
        <div className="muted small">
          kept {keptWords(chapter.kept)}
          {chapter.again.length > 0 && <>, dropped {plural(chapter.again.length, "result")}</>}
        </div>
      )}
      {chapter.pauses.map((pause) => (
        <div key={pause.at} className="muted small">
          paused {pause.by !== "" && <>by {pause.by} </>}
          <Time at={pause.at} />
          {pause.until !== null && <> for {duration(pause.until - pause.at)}</>}
          {pause.resumed_by !== "" && <>, resumed by {pause.resumed_by}</>}
        </div>
      ))}
      <div className="row">
        <StateIcon state={state} />
        <span className={`state ${state}`}>{state}</span>
        {chapter.until !== null && <span className="muted">after {duration(chapter.until - chapter.at)}</span>}
        {chapter.ended_by !== "" && <span className="muted">by {chapter.ended_by}</span>}
      </div>
      {message !== undefined && <div className="muted small truncate">
          <Prose text={message} />
        </div>}
      {chapter.reason !== "" && <div className="muted small">{chapter.reason}</div>}
    </li>
  );
}

function keptWords(kept: Record<string, number>): string {
  const total = Object.values(kept).reduce((sum, each) => sum + each, 0);
  return total === 0 ? "no results" : `the results of ${plural(total, "step")}`;
}
