/**
 * The editor of YAML: CodeMirror in a shadow root, where it writes its styles by script. In the document it would write
 * a style element, which the policy of the page forbids.
 */
import { defaultKeymap, history, historyKeymap } from "@codemirror/commands";
import { yaml } from "@codemirror/lang-yaml";
import { bracketMatching, HighlightStyle, indentOnInput, indentUnit, syntaxHighlighting } from "@codemirror/language";
import { type Action, type Diagnostic, lintGutter, lintKeymap, setDiagnostics } from "@codemirror/lint";
import { highlightSelectionMatches, search, searchKeymap } from "@codemirror/search";
import { EditorState, type Text } from "@codemirror/state";
import { drawSelection, EditorView, highlightActiveLine, keymap, lineNumbers } from "@codemirror/view";
import { tags } from "@lezer/highlight";

import type { DiagnosticView } from "../api/types";

const theme = EditorView.theme({
  "&": { backgroundColor: "var(--bg)", color: "var(--text)", fontSize: "12px", maxHeight: "var(--editor-height, calc(100vh - 280px))", minHeight: "min(320px, var(--editor-height, 320px))" },
  "&.cm-focused": { outline: "none" },
  ".cm-scroller": { fontFamily: "var(--mono)", lineHeight: "20px", overflow: "auto" },
  ".cm-content": { caretColor: "var(--text)", padding: "8px 0" },
  ".cm-cursor": { borderLeftColor: "var(--text)" },
  ".cm-gutters": { backgroundColor: "var(--bg)", color: "var(--text-muted)", border: "0" },
  ".cm-activeLine": { backgroundColor: "var(--bg-hover)" },
  ".cm-selectionBackground, &.cm-focused > .cm-scroller > .cm-selectionLayer .cm-selectionBackground": {
    backgroundColor: "light-dark(#cfd6fb, #34408a)",
  },
  ".cm-tooltip": { backgroundColor: "var(--bg-overlay)", border: "1px solid var(--line)", borderRadius: "6px", boxShadow: "var(--shadow)" },
  ".cm-diagnostic": { padding: "8px 12px", fontFamily: "var(--font)", whiteSpace: "pre-wrap" },
  ".cm-diagnosticAction": { background: "var(--accent-fill)", borderRadius: "4px" },
  ".cm-panels": { backgroundColor: "var(--bg-raised)", color: "var(--text)", borderColor: "var(--line)" },
});

const colours = HighlightStyle.define([
  { tag: [tags.propertyName, tags.definition(tags.propertyName)], color: "var(--state-running)" },
  { tag: [tags.string, tags.special(tags.string)], color: "var(--state-succeeded)" },
  { tag: [tags.number, tags.bool, tags.null], color: "var(--state-paused)" },
  { tag: tags.comment, color: "var(--text-muted)" },
  { tag: [tags.punctuation, tags.separator, tags.squareBracket, tags.brace], color: "var(--text-muted)" },
]);

export interface Editor {
  show: (diagnostics: DiagnosticView[]) => void;
  goTo: (diagnostic: DiagnosticView) => void;
  apply: (diagnostic: DiagnosticView) => void;
  replace: (text: string) => void;
  destroy: () => void;
}

export function createEditor(
  parent: HTMLElement,
  text: string,
  { readOnly, onChange }: { readOnly: boolean; onChange: (text: string) => void },
): Editor {
  const root = parent.shadowRoot ?? parent.attachShadow({ mode: "open" });
  const view = new EditorView({
    parent: root,
    root,
    state: EditorState.create({
      doc: text,
      extensions: [
        lineNumbers(),
        history(),
        drawSelection(),
        highlightActiveLine(),
        bracketMatching(),
        indentOnInput(),
        indentUnit.of("  "),
        highlightSelectionMatches(),
        search({ top: true }),
        lintGutter(),
        yaml(),
        syntaxHighlighting(colours),
        theme,
        keymap.of([...defaultKeymap, ...searchKeymap, ...historyKeymap, ...lintKeymap]),
        EditorState.readOnly.of(readOnly),
        EditorView.contentAttributes.of({ "aria-label": "Source", spellcheck: "false", tabindex: "0" }),
        EditorView.updateListener.of((update) => {
          if (update.docChanged) {
            onChange(update.state.doc.toString());
          }
        }),
      ],
    }),
  });
  const apply = (diagnostic: DiagnosticView): void => {
    const fix = diagnostic.fix as (Place & { replacement: string }) | null;
    if (fix !== null) {
      view.dispatch({ changes: { ...rangeOf(view.state.doc, fix), insert: fix.replacement } });
      view.focus();
    }
  };
  return {
    show: (diagnostics) =>
      view.dispatch(
        setDiagnostics(
          view.state,
          diagnostics.map((each) => shown(view.state.doc, each, readOnly ? undefined : apply)),
        ),
      ),
    goTo: (diagnostic) => {
      const { from } = rangeOf(view.state.doc, diagnostic);
      view.dispatch({ selection: { anchor: from }, effects: EditorView.scrollIntoView(from, { y: "center" }) });
      view.focus();
    },
    apply,
    replace: (changed) => view.dispatch({ changes: { from: 0, to: view.state.doc.length, insert: changed } }),
    destroy: () => view.destroy(),
  };
}

interface Place {
  line: number;
  column: number;
  end_line: number;
  end_column: number;
}

function shown(document: Text, diagnostic: DiagnosticView, apply?: (diagnostic: DiagnosticView) => void): Diagnostic {
  const { from, to } = rangeOf(document, diagnostic);
  const actions: Action[] = diagnostic.fix !== null && apply ? [{ name: "Fix", apply: () => apply(diagnostic) }] : [];
  return {
    from,
    to: Math.max(to, Math.min(from + 1, document.length)),
    severity: diagnostic.severity,
    source: diagnostic.code,
    message: diagnostic.help ? `${diagnostic.message}\n${diagnostic.help}` : diagnostic.message,
    actions,
  };
}

function rangeOf(document: Text, place: Place): { from: number; to: number } {
  const from = offsetOf(document, place.line, place.column);
  return { from, to: Math.max(from, offsetOf(document, place.end_line, place.end_column)) };
}

/** Returns an offset in UTF-16 units; columns of diagnostics are counted in code points, from 1. */
function offsetOf(document: Text, line: number, column: number): number {
  const found = document.line(Math.max(1, Math.min(line, document.lines)));
  const before = [...found.text].slice(0, column - 1).join("");
  return found.from + Math.min(before.length, found.length);
}
