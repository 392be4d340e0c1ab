/** Several questions as one form: they are answered, reviewed together, and then sent. */
import { ArrowLeft } from "lucide-react";
import { useState } from "react";

import { Problem } from "../api/problem";
import { Value } from "../shared/Value";
import { Field } from "./Field";
import { type PartProps, Prompt } from "./Prompt";
import { useSchemaForm } from "./SchemaForm";
import { answerSchema, isRecord, type Schema } from "./schema";

export function QuestionSet({ question, isBusy, mayAnswer, send, error }: PartProps & { error: unknown }) {
  const { schema, prompts } = partsOf(question);
  const form = useSchemaForm(schema);
  const [isReviewing, setReviewing] = useState(false);
  const problems = error instanceof Problem && error.status === 422 ? [error.message] : [];
  const names = Object.keys(schema.properties ?? {});
  const review = (event: React.FormEvent): void => {
    event.preventDefault();
    form.show();
    setReviewing(!form.isWrong);
  };
  return (
    <>
      <Prompt question={question} otherwise={`${names.length} questions`} />
      {mayAnswer ? (
        <>
          <form className={isReviewing ? "" : "stack tight"} onSubmit={review} noValidate hidden={isReviewing}>
            {names.map((name) => (
              <Field
                key={name}
                label={prompts[name] ?? name}
                schema={schema.properties?.[name] ?? {}}
                required={schema.required?.includes(name) ?? false}
                onEntry={(entry) => form.enter(name, entry)}
                problem={(form.isShown ? form.entries[name]?.problem : undefined) ?? problems.find((text) => text.includes(`\`${name}\``))}
              />
            ))}
            <div>
              <button type="submit" className="button primary">
                Review
              </button>
            </div>
          </form>
          {isReviewing && (
            <div className="stack tight">
              <dl className="review panel panel-body" aria-label="Your answers">
                {names.map((name) => (
                  <div key={name}>
                    <dt className="muted">{prompts[name] ?? name}</dt>
                    <dd>
                      <Answered value={form.values[name]} />
                    </dd>
                  </div>
                ))}
              </dl>
              <div className="row">
                <button type="button" className="button" disabled={isBusy} onClick={() => setReviewing(false)}>
                  <ArrowLeft size={14} aria-hidden /> Back
                </button>
                <button type="button" className="button primary" disabled={isBusy} onClick={() => send(form.values)}>
                  Send the answers
                </button>
              </div>
            </div>
          )}
        </>
      ) : (
        <ol className="stack tight">
          {names.map((name) => (
            <li key={name}>{prompts[name] ?? name}</li>
          ))}
        </ol>
      )}
    </>
  );
}

function Answered({ value }: { value: unknown }) {
  if (value === undefined || value === null || value === "") {
    return <span className="muted">no answer</span>;
  }
  return typeof value === "object" ? <Value value={value} /> : <>{String(value)}</>;
}

/** Returns the schema of all answers, and the texts of the questions, by name. */
function partsOf(question: Record<string, unknown>): { schema: Schema; prompts: Record<string, string> } {
  const answer = isRecord(question["answer"]) ? question["answer"] : {};
  const declared = isRecord(answer["properties"]) ? answer["properties"] : {};
  const parts = Object.entries(declared).map(([name, each]) => [name, isRecord(each) ? each : {}] as const);
  const properties = Object.fromEntries(
    parts.map(([name, each]) => {
      const { description: _, ...schema } = answerSchema(each);
      return [name, "default" in each ? { ...schema, default: each["default"] } : schema];
    }),
  );
  const required = parts.flatMap(([name, each]) => (each["required"] === false ? [] : [name]));
  const prompts = Object.fromEntries(parts.map(([name, each]) => [name, String(each["description"] || name)]));
  return { schema: { type: "object", properties, required }, prompts };
}
