/** One value that is entered, by the control that fits its schema. */
import { Plus, X } from "lucide-react";
import { useId, useState } from "react";

import { expectation, isRecord, kindOf, type Schema, typeOf } from "./schema";

/** What was entered: a value, undefined where nothing was, or what is wrong with it. */
export interface Entry {
  value?: unknown;
  problem?: string;
}

export interface FieldProps {
  label: string;
  schema: Schema;
  required: boolean;
  /** What is shown first. */
  initial?: unknown;
  onEntry: (entry: Entry) => void;
  /** What is wrong with the entry, shown below it. */
  problem?: string | undefined;
  autoFocus?: boolean;
}

export function Field({ label, schema, required, initial, onEntry, problem, autoFocus = false }: FieldProps) {
  const id = useId();
  const first = initial === undefined ? schema.default : initial;
  const kind = kindOf(schema);
  const hints = [schema.description, expectation(schema)].filter((hint) => hint !== undefined && hint !== "");
  const about = `${id}-about`;
  const shared = { id, "aria-describedby": about, "aria-invalid": problem !== undefined, autoFocus };
  const foot = (
    <span id={about}>
      {hints.length > 0 && <span className="hint">{hints.join(" · ")}</span>}
      {problem !== undefined && <span className="wrong"> {problem}</span>}
    </span>
  );
  if (kind === "object" || kind === "list") {
    return (
      <fieldset className="group" aria-describedby={about}>
        <legend>
          {label} <Optional required={required} />
        </legend>
        {kind === "object" ? (
          <Properties schema={schema} initial={first} onEntry={onEntry} />
        ) : (
          <List label={label} schema={schema} initial={first} onEntry={onEntry} />
        )}
        {foot}
      </fieldset>
    );
  }
  if (kind === "boolean") {
    return <Checkbox {...{ id, label, first, onEntry, foot, about }} />;
  }
  return (
    <div className="field">
      <label htmlFor={id}>
        {label} <Optional required={required} />
      </label>
      {kind === "choice" ? (
        <Choice schema={schema} required={required} first={first} onEntry={onEntry} shared={shared} />
      ) : (
        <Written schema={schema} required={required} first={first} onEntry={onEntry} shared={shared} />
      )}
      {foot}
    </div>
  );
}

function Optional({ required }: { required: boolean }) {
  return required ? null : <span className="muted small">optional</span>;
}

interface Shared {
  id: string;
  "aria-describedby": string;
  "aria-invalid": boolean;
  autoFocus: boolean;
}

interface ControlProps {
  schema: Schema;
  required: boolean;
  first: unknown;
  onEntry: (entry: Entry) => void;
  shared: Shared;
}

function Choice({ schema, required, first, onEntry, shared }: ControlProps) {
  // Nothing chosen is the one way to leave it out: null, where it is allowed, means the same.
  const choices = (schema.enum ?? []).filter((choice) => required || choice !== null);
  const hasEmpty = !required && (schema.default === undefined || schema.default === null);
  const [chosen, setChosen] = useState(() => choices.findIndex((choice) => JSON.stringify(choice) === JSON.stringify(first)));
  return (
    <select
      {...shared}
      className="input"
      value={chosen}
      onChange={(event) => {
        const index = Number(event.target.value);
        setChosen(index);
        onEntry(index < 0 ? {} : { value: choices[index] });
      }}
    >
      {(hasEmpty || chosen < 0) && <option value={-1}>{required ? "Choose one" : "None"}</option>}
      {choices.map((choice, index) => (
        <option key={JSON.stringify(choice)} value={index}>
          {typeof choice === "string" ? choice : JSON.stringify(choice)}
        </option>
      ))}
    </select>
  );
}

/** A value that is typed: text, a number, a secret, a path, or JSON. */
function Written({ schema, required, first, onEntry, shared }: ControlProps) {
  const kind = kindOf(schema);
  const [text, setText] = useState(() => written(first, kind === "json"));
  const enter = (typed: string): void => {
    setText(typed);
    onEntry(read(typed, schema, required));
  };
  const common = { ...shared, required, value: text };
  if (kind === "secret") {
    return <input {...common} className="input" type="password" autoComplete="off" onChange={(event) => enter(event.target.value)} />;
  }
  if (kind === "number") {
    return <input {...common} className="input" inputMode="decimal" autoComplete="off" onChange={(event) => enter(event.target.value)} />;
  }
  if (kind === "path") {
    return <input {...common} className="input mono" spellCheck={false} onChange={(event) => enter(event.target.value)} />;
  }
  const rows = kind === "json" ? Math.min(12, Math.max(3, text.split("\n").length)) : Math.min(8, text.split("\n").length);
  return (
    <textarea
      {...common}
      className={kind === "json" ? "input mono growing" : "input growing"}
      rows={rows}
      spellCheck={kind !== "json"}
      onChange={(event) => enter(event.target.value)}
    />
  );
}

function Checkbox({
  id,
  label,
  first,
  onEntry,
  foot,
  about,
}: {
  id: string;
  label: string;
  first: unknown;
  onEntry: (entry: Entry) => void;
  foot: React.ReactNode;
  about: string;
}) {
  const [checked, setChecked] = useState(first === true);
  return (
    <div className="field">
      <label className="row" htmlFor={id}>
        <input
          id={id}
          type="checkbox"
          aria-describedby={about}
          checked={checked}
          onChange={(event) => {
            setChecked(event.target.checked);
            onEntry({ value: event.target.checked });
          }}
        />
        {label}
      </label>
      {foot}
    </div>
  );
}

function Properties({ schema, initial, onEntry }: { schema: Schema; initial: unknown; onEntry: (entry: Entry) => void }) {
  const given = isRecord(initial) ? initial : {};
  const [entries, setEntries] = useState<Record<string, Entry>>(() => firstEntries(schema, given));
  return (
    <div className="stack tight">
      {Object.entries(schema.properties ?? {}).map(([name, each]) => (
        <Field
          key={name}
          label={name}
          schema={each}
          required={schema.required?.includes(name) ?? false}
          initial={given[name]}
          onEntry={(entry) => {
            const changed = { ...entries, [name]: entry };
            setEntries(changed);
            onEntry(together(changed));
          }}
        />
      ))}
    </div>
  );
}

function List({
  label,
  schema,
  initial,
  onEntry,
}: {
  label: string;
  schema: Schema;
  initial: unknown;
  onEntry: (entry: Entry) => void;
}) {
  const [items, setItems] = useState(() => (Array.isArray(initial) ? initial : []).map((value, key) => ({ key, entry: { value } as Entry })));
  const [next, setNext] = useState(items.length);
  const change = (changed: typeof items): void => {
    setItems(changed);
    const wrong = changed.find(({ entry }) => entry.problem !== undefined);
    onEntry(wrong ? { problem: wrong.entry.problem ?? "" } : { value: changed.map(({ entry }) => entry.value ?? "") });
  };
  return (
    <div className="stack tight">
      {items.map(({ key, entry }, index) => (
        <div key={key} className="row list-item">
          <div className="grow">
            <Field
              label={`${label} ${index + 1}`}
              schema={schema.items ?? {}}
              required
              initial={entry.value}
              onEntry={(changed) => change(items.map((item) => (item.key === key ? { key, entry: changed } : item)))}
            />
          </div>
          <button
            type="button"
            className="button quiet icon"
            aria-label={`Remove ${label} ${index + 1}`}
            onClick={() => change(items.filter((item) => item.key !== key))}
          >
            <X size={14} aria-hidden />
          </button>
        </div>
      ))}
      <div>
        <button
          type="button"
          className="button"
          onClick={() => {
            setNext(next + 1);
            change([...items, { key: next, entry: {} }]);
          }}
        >
          <Plus size={14} aria-hidden /> Add
        </button>
      </div>
    </div>
  );
}

/** Returns what fields contain before anybody types. */
export function firstEntries(schema: Schema, given: Record<string, unknown>): Record<string, Entry> {
  const entries: Record<string, Entry> = {};
  for (const [name, each] of Object.entries(schema.properties ?? {})) {
    const value = name in given ? given[name] : each.default;
    const required = schema.required?.includes(name) ?? false;
    if (value !== undefined) {
      entries[name] = { value };
    } else if (kindOf(each) === "boolean" && required) {
      entries[name] = { value: false };
    } else if (kindOf(each) === "list" && required) {
      entries[name] = { value: [] };
    } else if (kindOf(each) === "object") {
      const inner = together(firstEntries(each, {}), each);
      entries[name] = required || inner.problem === undefined ? inner : {};
    } else {
      entries[name] = required ? { problem: "Required." } : {};
    }
  }
  return entries;
}

/** Returns the entries of fields as one entry. */
export function together(entries: Record<string, Entry>, schema?: Schema): Entry {
  const wrong = Object.entries(entries).find(([, entry]) => entry.problem !== undefined);
  if (wrong !== undefined) {
    return { problem: `${wrong[0]}: ${wrong[1].problem}` };
  }
  const values = Object.entries(entries).flatMap(([name, entry]) => (entry.value === undefined ? [] : [[name, entry.value] as const]));
  return values.length === 0 && schema !== undefined && !schema.required?.length ? {} : { value: Object.fromEntries(values) };
}

function written(value: unknown, isJson: boolean): string {
  if (value === undefined || value === null) {
    return "";
  }
  return typeof value === "string" && !(isJson && looksLikeJson(value)) ? value : JSON.stringify(value, null, 2);
}

function looksLikeJson(text: string): boolean {
  try {
    JSON.parse(text);
    return true;
  } catch {
    return false;
  }
}

/** Reads what was typed. Everything else that a schema demands is checked by the server, with its words. */
function read(text: string, schema: Schema, required: boolean): Entry {
  if (text === "") {
    return required ? { problem: "Required." } : {};
  }
  const kind = kindOf(schema);
  if (kind === "number") {
    const number = Number(text.replaceAll(",", ""));
    if (!Number.isFinite(number) || text.trim() === "") {
      return { problem: "Not a number." };
    }
    return typeOf(schema) === "integer" && !Number.isInteger(number) ? { problem: "Not a whole number." } : { value: number };
  }
  if (kind !== "json") {
    return { value: text };
  }
  try {
    return { value: JSON.parse(text) };
  } catch (error) {
    return typeOf(schema) === "" ? { value: text } : { problem: `Not JSON: ${(error as Error).message}` };
  }
}
