/** The question of a step as a form: what is asked, the content that is to be approved, and the answer. */
import { useMutation, useQueryClient } from "@tanstack/react-query";
import { Check, RotateCcw, X } from "lucide-react";
import { useId, useState } from "react";

import { client, data } from "../api/client";
import { Problem } from "../api/problem";
import type { StepActivity } from "../api/types";
import { ProblemNotice } from "../shared/ProblemNotice";
import { Time } from "../shared/Time";
import { Value } from "../shared/Value";
import { AudienceNote, useMayAnswer } from "./Audience";
import { type Entry, Field } from "./Field";
import { type PartProps, Prompt } from "./Prompt";
import { QuestionSet } from "./QuestionSet";
import { answerSchema, isRecord, kindOf } from "./schema";
import "./forms.css";

interface QuestionFormProps {
  runId: string;
  step: StepActivity;
  onAnswered?: () => void;
}

export function QuestionForm({ runId, step, onAnswered }: QuestionFormProps) {
  const queries = useQueryClient();
  const question = step.question ?? {};
  const mayAnswer = useMayAnswer(question);
  const answer = useMutation({
    mutationFn: (value: unknown) =>
      data(client.POST("/v1/runs/{run_id}/answer", { params: { path: { run_id: runId } }, body: { step: step.path, value } })),
    onSuccess: () => {
      void queries.invalidateQueries({ queryKey: ["questions"] });
      void queries.invalidateQueries({ queryKey: ["run", runId] });
      onAnswered?.();
    },
  });
  const send = (value: unknown): void => answer.mutate(value);
  const isBusy = answer.isPending || answer.isSuccess;
  return (
    <section className="question stack" aria-label={String(question["prompt"] ?? step.path)}>
      {question["kind"] === "approve" ? (
        <Approval question={question} isBusy={isBusy} mayAnswer={mayAnswer} send={send} />
      ) : question["kind"] === "resume" ? (
        <YesOrNo question={question} isBusy={isBusy} mayAnswer={mayAnswer} send={send} />
      ) : Array.isArray(question["questions"]) ? (
        <QuestionSet question={question} isBusy={isBusy} mayAnswer={mayAnswer} send={send} error={answer.error} />
      ) : (
        <Answer question={question} isBusy={isBusy} mayAnswer={mayAnswer} send={send} error={answer.error} />
      )}
      {answer.isError && <ProblemNotice error={answer.error} />}
      <div className="muted small">
        {step.waiting_until !== null && (
          <>
            Expires <Time at={step.waiting_until} />
            {"default" in question && <>, with the answer {JSON.stringify(question["default"])}</>}.{" "}
          </>
        )}
        <AudienceNote question={question} />
      </div>
    </section>
  );
}

function Approval({ question, isBusy, mayAnswer, send }: PartProps) {
  const content = question["content"];
  const isEditable = question["editable"] === true && content !== null && content !== undefined;
  const [edited, setEdited] = useState<Entry>({ value: content });
  const [isEditing, setEditing] = useState(false);
  const [comment, setComment] = useState("");
  const field = useId();
  const give = (approved: boolean): void =>
    send({
      approved,
      ...(approved && isEditing && { content: edited.value }),
      ...(comment.trim() !== "" && { comment: comment.trim() }),
    });
  return (
    <>
      <Prompt question={question} otherwise="Approve?" />
      {content !== null && content !== undefined && (
        <div className="panel">
          <div className="panel-title">
            <h3 className="grow">What is approved</h3>
            {isEditable && mayAnswer && (
              <button type="button" className="button quiet" aria-pressed={isEditing} onClick={() => setEditing(!isEditing)}>
                {isEditing ? "Discard the changes" : "Edit"}
              </button>
            )}
          </div>
          <div className="panel-body approved">
            {isEditing ? (
              <Field
                label="Content"
                schema={typeof content === "string" ? { type: "string" } : {}}
                required
                initial={content}
                onEntry={setEdited}
                problem={edited.problem}
              />
            ) : (
              <Value value={content} />
            )}
          </div>
        </div>
      )}
      {mayAnswer && (
        <>
          <div className="field">
            <label htmlFor={field}>
              Comment <span className="muted small">optional</span>
            </label>
            <textarea id={field} className="input growing" rows={1} value={comment} onChange={(event) => setComment(event.target.value)} />
          </div>
          <div className="row">
            <button type="button" className="button primary" disabled={isBusy || (isEditing && edited.problem !== undefined)} onClick={() => give(true)}>
              <Check size={14} aria-hidden /> {isEditing ? "Approve with the changes" : "Approve"}
            </button>
            <button type="button" className="button" disabled={isBusy} onClick={() => give(false)}>
              <X size={14} aria-hidden /> Reject
            </button>
          </div>
        </>
      )}
    </>
  );
}

/** Whether a step that was interrupted may run again. */
function YesOrNo({ question, isBusy, mayAnswer, send }: PartProps) {
  return (
    <>
      <Prompt question={question} otherwise="Run the interrupted step again?" />
      {mayAnswer && (
        <div className="row">
          <button type="button" className="button primary" disabled={isBusy} onClick={() => send(true)}>
            <RotateCcw size={14} aria-hidden /> Run it again
          </button>
          <button type="button" className="button" disabled={isBusy} onClick={() => send(false)}>
            Let it fail
          </button>
        </div>
      )}
    </>
  );
}

function Answer({ question, isBusy, mayAnswer, send, error }: PartProps & { error: unknown }) {
  const choices = Array.isArray(question["choices"]) ? question["choices"] : undefined;
  const schema = answerSchema(isRecord(question["answer"]) ? question["answer"] : {}, choices);
  const initial = question["default"];
  const kind = kindOf(schema);
  const [entry, setEntry] = useState<Entry>(
    initial !== undefined ? { value: initial } : kind === "boolean" ? { value: false } : kind === "list" ? { value: [] } : { problem: "Required." },
  );
  const [isShown, setShown] = useState(false);
  if (choices !== undefined && choices.length <= 6 && mayAnswer) {
    return (
      <>
        <Prompt question={question} otherwise="Choose one" />
        <div className="row wrap">
          {choices.map((choice) => (
            <button
              key={JSON.stringify(choice)}
              type="button"
              className={JSON.stringify(choice) === JSON.stringify(initial) ? "button primary" : "button"}
              disabled={isBusy}
              onClick={() => send(choice)}
            >
              {typeof choice === "string" ? choice : JSON.stringify(choice)}
            </button>
          ))}
        </div>
      </>
    );
  }
  const submit = (event: React.FormEvent): void => {
    event.preventDefault();
    setShown(true);
    if (entry.problem === undefined) {
      send(entry.value ?? null);
    }
  };
  const found = (isShown ? entry.problem : undefined) ?? (error instanceof Problem && error.status === 422 ? error.help ?? undefined : undefined);
  return (
    <>
      <Prompt question={question} otherwise="A value is needed" />
      {mayAnswer && (
        <form className="stack tight" onSubmit={submit} noValidate>
          <Field label="Answer" schema={schema} required initial={initial} onEntry={setEntry} problem={found} />
          <div>
            <button type="submit" className="button primary" disabled={isBusy}>
              Answer
            </button>
          </div>
        </form>
      )}
    </>
  );
}
