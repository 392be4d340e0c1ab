/** The fields of an object, from its JSON Schema: the inputs of a pipeline, or an answer. */
import { useState } from "react";

import { type Entry, Field, firstEntries, together } from "./Field";
import type { Schema } from "./schema";
import "./forms.css";

export interface SchemaForm {
  schema: Schema;
  /** The values, as far as they are entered. */
  values: Record<string, unknown>;
  entries: Record<string, Entry>;
  /** Whether a field is empty that must not be, or has what cannot be read. */
  isWrong: boolean;
  /** Whether problems are shown: after somebody has tried to send the form. */
  isShown: boolean;
  show: () => void;
  given: Record<string, unknown>;
  enter: (name: string, entry: Entry) => void;
}

/** Holds what is entered into a form. `given` are values to begin with, such as the inputs of an earlier run. */
export function useSchemaForm(schema: Schema, given: Record<string, unknown> = {}): SchemaForm {
  const [entries, setEntries] = useState(() => firstEntries(schema, given));
  const [isShown, setShown] = useState(false);
  const entered = together(Object.fromEntries(Object.entries(entries).filter(([, entry]) => entry.problem === undefined)));
  return {
    schema,
    values: entered.value as Record<string, unknown>,
    entries,
    isWrong: Object.values(entries).some((entry) => entry.problem !== undefined),
    isShown,
    show: () => setShown(true),
    given,
    enter: (name, entry) => setEntries((current) => ({ ...current, [name]: entry })),
  };
}

/** `problems` are those that the server has found; each is shown at the field that it names, with its name in backticks. */
export function SchemaFields({ form, problems = [] }: { form: SchemaForm; problems?: string[] }) {
  const { schema } = form;
  return (
    <>
      {Object.entries(schema.properties ?? {}).map(([name, each]) => {
        const found = (form.isShown ? form.entries[name]?.problem : undefined) ?? problems.find((text) => text.includes(`\`${name}\``));
        return (
          <Field
            key={name}
            label={name}
            schema={each}
            required={schema.required?.includes(name) ?? false}
            initial={form.given[name]}
            problem={found}
            onEntry={(entry) => form.enter(name, entry)}
          />
        );
      })}
    </>
  );
}
