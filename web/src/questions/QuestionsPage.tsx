/** The questions that wait for people, of all runs, those first that have waited longest. */
import { useQuery, useQueryClient } from "@tanstack/react-query";
import { useEffect, useRef, useState } from "react";
import { Link } from "wouter";

import { assigneesOf } from "../forms/Audience";
import { QuestionForm } from "../forms/QuestionForm";
import { useRunStream } from "../runs/list_stream";
import { runAddress } from "../shared/address";
import { useParameter } from "../shared/address";
import { useShortcuts } from "../shared/keys";
import { useNow } from "../shared/now";
import { ProblemNotice } from "../shared/ProblemNotice";
import { Time } from "../shared/Time";
import { type OpenQuestion, openQuestions, questionsQuery } from "./open_questions";
import "./questions.css";

/** For how many seconds after an answer the page says that there may be a next question: the run works in between. */
const FOLLOWING = 2;

export function QuestionsPage() {
  const queries = useQueryClient();
  const waiting = useQuery(questionsQuery);
  useRunStream("asks=true", "asks", () => void queries.invalidateQueries({ queryKey: questionsQuery.queryKey }));
  const [chosen, choose] = useParameter("question");
  const questions = waiting.data === undefined ? [] : openQuestions(waiting.data.runs);
  const [answered, setAnswered] = useState(0);
  const mayFollow = useNow() - answered < FOLLOWING;
  const current = questions.find((each) => keyOf(each) === chosen) ?? questions[0];
  const move = (by: number): void => {
    const index = current === undefined ? -1 : questions.indexOf(current);
    const next = questions[Math.max(0, Math.min(questions.length - 1, index + by))];
    if (next !== undefined) {
      choose(keyOf(next));
    }
  };
  useShortcuts([
    { keys: "j", meaning: "Next question", run: () => move(1) },
    { keys: "k", meaning: "Previous question", run: () => move(-1) },
  ]);
  return (
    <main className="questions">
      <div className="page-head">
        <h1>Questions</h1>
      </div>
      {waiting.isError && waiting.data === undefined && (
        <div className="page-body">
          <ProblemNotice error={waiting.error} />
        </div>
      )}
      {waiting.data !== undefined &&
        current === undefined &&
        (mayFollow ? (
          <p className="page-body muted" role="status">
            Looking for more questions…
          </p>
        ) : (
          <NoQuestions />
        ))}
      {current !== undefined && (
        <div className="inbox">
          <ul className="plain inbox-list" aria-label="Open questions">
            {questions.map((each) => (
              <li key={keyOf(each)}>
                <Item question={each} isCurrent={each === current} onChoose={() => choose(keyOf(each))} />
              </li>
            ))}
          </ul>
          <div className="inbox-open">
            <Open key={keyOf(current)} question={current} onAnswered={() => setAnswered(Date.now() / 1000)} />
          </div>
        </div>
      )}
    </main>
  );
}

function keyOf({ run, step }: OpenQuestion): string {
  return `${run.run_id} ${step.path}`;
}

function promptOf({ step }: OpenQuestion): string {
  return String(step.question?.["prompt"] || (step.question?.["kind"] === "approve" ? "Approve?" : step.path));
}

function Item({ question, isCurrent, onChoose }: { question: OpenQuestion; isCurrent: boolean; onChoose: () => void }) {
  const button = useRef<HTMLButtonElement>(null);
  const assignees = assigneesOf(question.step.question ?? {});
  useEffect(() => {
    if (isCurrent) {
      button.current?.scrollIntoView({ block: "nearest" });
    }
  }, [isCurrent]);
  return (
    <button ref={button} type="button" className="inbox-item" aria-current={isCurrent} onClick={onChoose}>
      <span className="truncate inbox-prompt">{promptOf(question)}</span>
      <span className="row muted small">
        <span className="truncate grow">
          {question.run.name || question.run.pipeline}
          {assignees.length > 0 && ` · for ${assignees.join(", ")}`}
        </span>
        <Time at={question.step.started_at} />
      </span>
    </button>
  );
}

function Open({ question, onAnswered }: { question: OpenQuestion; onAnswered: () => void }) {
  const { run, step } = question;
  return (
    <article className="stack">
      <div className="row wrap muted small">
        <Link href={runAddress(run.run_id, step.path)}>{run.name || run.pipeline}</Link>
        <code>{step.path}</code>
        <span>
          asked <Time at={step.started_at} />
        </span>
      </div>
      <QuestionForm runId={run.run_id} step={step} onAnswered={onAnswered} />
    </article>
  );
}

function NoQuestions() {
  return (
    <div className="empty stack">
      <h1>No run waits for an answer</h1>
      <p className="muted">
        A step with <code>ask</code> or <code>approve</code> waits for a person. Its question appears here until somebody
        answers it:
      </p>
      <pre className="panel panel-body">
        {'- id: review\n  approve:\n    title: Publish the text?\n    content: "{{ draft }}"\n    allow_editing: true'}
      </pre>
    </div>
  );
}
