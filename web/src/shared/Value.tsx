/** A value as what it is: text with Markdown, a table, a file, an image, or a tree of JSON. */
import { lazy, Suspense, useState } from "react";

import { isImage, useFile, type WrittenFile } from "./files";
import { count, plural } from "./format";
import "./value.css";

const Markdown = lazy(async () => ({ default: (await import("./Markdown")).Markdown }));

/** Signs that a text is meant as Markdown: a heading, a list, emphasis, a link, a table, or code. */
const MARKDOWN = /^#{1,6} |^[-*] |^\d+\. |\*\*\S|\[[^\]]+\]\([^)]+\)|^\|.*\|$|```/m;
const LONGEST_TEXT = 50_000;

/** `isOpen`: a long list is shown from its beginning, instead of folded. */
export function Value({ value, isOpen = false }: { value: unknown; isOpen?: boolean }) {
  const file = useFile(typeof value === "string" ? value : "");
  if (file !== undefined) {
    return <FileValue file={file} />;
  }
  if (typeof value === "string") {
    return <Text text={value} />;
  }
  if (isTable(value)) {
    return <Table rows={value} />;
  }
  return typeof value === "object" && value !== null ? <Json value={value} isOpen={isOpen} /> : <span className={scalarClass(value)}>{JSON.stringify(value)}</span>;
}

function scalarClass(value: unknown): string {
  return `json-scalar json-${value === null ? "null" : typeof value}`;
}

/** A value that names a file which the run wrote. */
function FileValue({ file }: { file: WrittenFile }) {
  return (
    <div className="value">
      <a href={file.href} download>
        {file.path}
      </a>
      {isImage(file.path) && <img src={file.href} alt={file.path} loading="lazy" className="value-image" />}
    </div>
  );
}

function Text({ text }: { text: string }) {
  const [isPlain, setPlain] = useState(false);
  const [isWhole, setWhole] = useState(false);
  const shown = isWhole ? text : text.slice(0, LONGEST_TEXT);
  const isMarkdown = MARKDOWN.test(shown);
  return (
    <div className="value">
      {isMarkdown && (
        <button type="button" className="button quiet value-switch" aria-pressed={isPlain} onClick={() => setPlain(!isPlain)}>
          {isPlain ? "Rendered" : "Source"}
        </button>
      )}
      {isMarkdown && !isPlain ? (
        <Suspense fallback={<p className="value-text">{shown}</p>}>
          <Markdown text={shown} />
        </Suspense>
      ) : (
        <p className="value-text">{text === "" ? <span className="muted">empty text</span> : shown}</p>
      )}
      {shown.length < text.length && (
        <button type="button" className="button" onClick={() => setWhole(true)}>
          Show all {count(text.length)} characters
        </button>
      )}
    </div>
  );
}

type Flat = Record<string, string | number | boolean | null>;

function isTable(value: unknown): value is Flat[] {
  return Array.isArray(value) && value.length > 1 && value.every(isFlat) && columnsOf(value as Flat[]).length <= 12;
}

function isFlat(value: unknown): boolean {
  return (
    typeof value === "object" && value !== null && !Array.isArray(value) && Object.values(value).every((each) => each === null || typeof each !== "object")
  );
}

function columnsOf(rows: Flat[]): string[] {
  return [...new Set(rows.slice(0, 100).flatMap((row) => Object.keys(row)))];
}

const ROWS = 50;

function Table({ rows }: { rows: Flat[] }) {
  const [shown, setShown] = useState(ROWS);
  const columns = columnsOf(rows);
  return (
    <div className="value">
      <div className="value-table">
        <table>
          <thead>
            <tr>
              {columns.map((column) => (
                <th key={column} scope="col" className={rows.some((row) => typeof row[column] === "number") ? "number" : undefined}>
                  {column}
                </th>
              ))}
            </tr>
          </thead>
          <tbody>
            {rows.slice(0, shown).map((row, index) => (
              <tr key={index}>
                {columns.map((column) => (
                  <td key={column} className={typeof row[column] === "number" ? "number" : undefined}>
                    {row[column] === null || row[column] === undefined ? <span className="muted">null</span> : String(row[column])}
                  </td>
                ))}
              </tr>
            ))}
          </tbody>
        </table>
      </div>
      {rows.length > shown && (
        <button type="button" className="button" onClick={() => setShown(shown + 10 * ROWS)}>
          Show more of {plural(rows.length, "row")}
        </button>
      )}
    </div>
  );
}

/** A tree of JSON, whose deeper parts are unfolded on demand. */
export function Json({ value, name, depth = 0, isOpen = false }: { value: unknown; name?: string; depth?: number; isOpen?: boolean }) {
  const label = name !== undefined && <span className="json-name">{name}: </span>;
  const file = useFile(typeof value === "string" ? value : "");
  if (file !== undefined) {
    return (
      <div className="json-leaf">
        {label}
        <FileValue file={file} />
      </div>
    );
  }
  if (typeof value !== "object" || value === null) {
    return (
      <div className="json-leaf">
        {label}
        <span className={scalarClass(value)}>{JSON.stringify(value) ?? "null"}</span>
      </div>
    );
  }
  const entries = Array.isArray(value) ? value.map((each, index) => [String(index), each] as const) : Object.entries(value);
  const kind = Array.isArray(value) ? plural(entries.length, "item") : plural(entries.length, "field");
  if (entries.length === 0) {
    return (
      <div className="json-leaf">
        {label}
        {Array.isArray(value) ? "[]" : "{}"}
      </div>
    );
  }
  return <Branch {...{ label, kind, entries }} opensFirst={isOpen || (depth < 2 && entries.length <= 100)} depth={depth} />;
}

function Branch({
  label,
  kind,
  entries,
  depth,
  opensFirst,
}: {
  label: React.ReactNode;
  kind: string;
  entries: (readonly [string, unknown])[];
  depth: number;
  opensFirst: boolean;
}) {
  const [isOpen, setOpen] = useState(opensFirst);
  const [shown, setShown] = useState(100);
  return (
    <details className="json" open={isOpen} onToggle={(event) => setOpen(event.currentTarget.open)}>
      <summary>
        {label}
        <span className="muted">{kind}</span>
      </summary>
      {isOpen && (
        <div className="json-inner">
          {entries.slice(0, shown).map(([key, each]) => (
            <Json key={key} name={key} value={each} depth={depth + 1} />
          ))}
          {entries.length > shown && (
            <button type="button" className="button" onClick={() => setShown(shown + 500)}>
              Show more of {plural(entries.length, "entry", "entries")}
            </button>
          )}
        </div>
      )}
    </details>
  );
}
