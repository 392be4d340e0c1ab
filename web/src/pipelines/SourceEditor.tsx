/** The source of a pipeline, with its problems at their places; checked while it is edited. */
import { useMutation } from "@tanstack/react-query";
import { RotateCcw, Save } from "lucide-react";
import { useRef, useState } from "react";
import { useLocation } from "wouter";

import { client, data } from "../api/client";
import { queryClient, useMay } from "../api/queries";
import type { PipelineView } from "../api/types";
import type { Editor } from "../editor/code_mirror";
import { Problems, Verdict } from "../editor/Diagnostics";
import { SourceText } from "../editor/SourceText";
import { useChecked } from "../editor/useChecked";
import { startAddress } from "../shared/address";
import { ProblemNotice } from "../shared/ProblemNotice";
import { forgetUnsaved, useUnsaved } from "../shared/unsaved";

export function SourceEditor({ pipeline }: { pipeline: PipelineView }) {
  const mayEdit = useMay("admin");
  const [, navigate] = useLocation();
  const [base, setBase] = useState(pipeline.source);
  const [text, setText] = useState(pipeline.source);
  const editor = useRef<Editor>(null);
  const isChanged = text !== base;
  const checked = useChecked(text, pipeline.name, pipeline);
  const diagnostics = checked ?? [];
  const errors = diagnostics.filter((each) => each.severity === "error").length;
  useUnsaved(isChanged);

  const save = useMutation({
    mutationFn: (source: string) =>
      data(client.PUT("/v1/pipelines/{name}", { params: { path: { name: pipeline.name } }, body: { source, replaces: base } })),
    onSuccess: (saved) => {
      setBase(saved.source);
      queryClient.setQueryData(["pipeline", pipeline.name], saved);
      void queryClient.invalidateQueries({ queryKey: ["pipelines"] });
    },
  });
  const saveAndStart = async (): Promise<void> => {
    if (isChanged) {
      await save.mutateAsync(text);
      forgetUnsaved();
    }
    navigate(startAddress(pipeline.name));
  };
  return (
    <section className="panel source" aria-label="Editor">
      <div className="source-actions">
        <span className="grow" role="status">
          <Verdict diagnostics={checked} />
        </span>
        {!mayEdit && <span className="muted small">To edit it, use a token with the scope admin.</span>}
        {isChanged && (
          <button type="button" className="button quiet" onClick={() => editor.current?.replace(base)}>
            <RotateCcw size={14} aria-hidden /> Discard
          </button>
        )}
        {mayEdit && (
          <>
            <button type="button" className="button" disabled={!isChanged || save.isPending} onClick={() => save.mutate(text)}>
              <Save size={14} aria-hidden /> Save
            </button>
            <button type="button" className="button primary" disabled={errors > 0 || save.isPending} onClick={() => void saveAndStart().catch(() => undefined)}>
              {isChanged ? "Save and start" : "Start"}
            </button>
          </>
        )}
      </div>
      {save.isError && (
        <div className="panel-body">
          <ProblemNotice error={save.error} />
        </div>
      )}
      <SourceText initial={base} readOnly={!mayEdit} diagnostics={checked} onChange={setText} editor={editor} />
      <Problems diagnostics={diagnostics} editor={() => editor.current} readOnly={!mayEdit} />
    </section>
  );
}
