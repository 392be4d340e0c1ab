/** The text of a pipeline in an editor, with its problems at their places. */
import { type RefObject, useEffect, useRef } from "react";

import type { DiagnosticView } from "../api/types";
import { createEditor, type Editor } from "./code_mirror";
import "./editor.css";

interface SourceTextProps {
  /** The text at first: the editor keeps its own from then on. */
  initial: string;
  readOnly: boolean;
  /** Undefined while they are not known: then those of before stay. */
  diagnostics: DiagnosticView[] | undefined;
  onChange: (text: string) => void;
  editor: RefObject<Editor | null>;
}

export function SourceText({ initial, readOnly, diagnostics, onChange, editor }: SourceTextProps) {
  const host = useRef<HTMLDivElement>(null);
  const change = useRef(onChange);
  change.current = onChange;
  useEffect(() => {
    if (host.current === null) {
      return;
    }
    const created = createEditor(host.current, initial, { readOnly, onChange: (text) => change.current(text) });
    editor.current = created;
    return () => {
      editor.current = null;
      created.destroy();
    };
    // The editor is made once: it keeps its own text, and is replaced only when the permission changes.
  }, [readOnly]);
  useEffect(() => {
    if (diagnostics !== undefined) {
      editor.current?.show(diagnostics);
    }
  }, [diagnostics, editor]);
  return <div ref={host} className="source-host" />;
}
