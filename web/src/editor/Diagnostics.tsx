/** The problems of a pipeline's text: a verdict in a few words, and a list that leads to their places. */
import { CircleAlert, CircleCheck, TriangleAlert, Wrench } from "lucide-react";

import type { DiagnosticView } from "../api/types";
import { plural } from "../shared/format";
import { Prose } from "../shared/Prose";
import type { Editor } from "./code_mirror";
import "./editor.css";

export function Verdict({ diagnostics }: { diagnostics: DiagnosticView[] | undefined }) {
  if (diagnostics === undefined) {
    return <span className="muted">Checking…</span>;
  }
  const errors = diagnostics.filter((each) => each.severity === "error").length;
  const warnings = diagnostics.length - errors;
  if (errors > 0) {
    return (
      <span className="state failed">
        <CircleAlert size={14} aria-hidden /> {plural(errors, "error")}
        {warnings > 0 && `, ${plural(warnings, "warning")}`}
      </span>
    );
  }
  return warnings > 0 ? (
    <span className="state waiting">
      <TriangleAlert size={14} aria-hidden /> {plural(warnings, "warning")}
    </span>
  ) : (
    <span className="state succeeded">
      <CircleCheck size={14} aria-hidden /> No problems
    </span>
  );
}

/** `editor` shows the places; in one that is `readOnly` nothing is fixed. */
export function Problems({ diagnostics, editor, readOnly }: { diagnostics: DiagnosticView[]; editor: () => Editor | null; readOnly: boolean }) {
  return diagnostics.length === 0 ? null : (
    <div className="diagnostics" role="list" aria-label="Problems">
      {diagnostics.map((each) => (
        <Problem
          key={`${each.code} ${each.line} ${each.column} ${each.message}`}
          diagnostic={each}
          onGo={() => editor()?.goTo(each)}
          onFix={!readOnly && each.fix !== null ? () => editor()?.apply(each) : null}
        />
      ))}
    </div>
  );
}

function Problem({ diagnostic, onGo, onFix }: { diagnostic: DiagnosticView; onGo: () => void; onFix: (() => void) | null }) {
  const isError = diagnostic.severity === "error";
  return (
    <div role="listitem" className="row">
      <button type="button" className="diagnostic grow" onClick={onGo}>
        <span className={`state ${isError ? "failed" : "waiting"}`}>
          {isError ? <CircleAlert size={14} aria-hidden /> : <TriangleAlert size={14} aria-hidden />}
          <span className="visually-hidden">{diagnostic.severity}</span>
        </span>
        <span className="muted mono">
          {diagnostic.line}:{diagnostic.column}
        </span>
        <span>
          <Prose text={diagnostic.message} /> <code className="muted">{diagnostic.code}</code>
          {diagnostic.help && <span className="muted">
              {" "}
              — <Prose text={diagnostic.help} />
            </span>}
        </span>
      </button>
      {onFix !== null && (
        <button type="button" className="button quiet" onClick={onFix}>
          <Wrench size={14} aria-hidden /> Fix
        </button>
      )}
    </div>
  );
}
