/** Continuing a run with an edited pipeline, after seeing what is kept of it and why; and saving the edit to its file. */
import { useMutation, useQuery, useQueryClient } from "@tanstack/react-query";
import { lazy, Suspense, useRef, useState } from "react";

import { client, data } from "../../api/client";
import type { PipelineView, RunView } from "../../api/types";
import type { Editor } from "../../editor/code_mirror";
import { useChecked } from "../../editor/useChecked";
import { useSchemaForm } from "../../forms/SchemaForm";
import { DiscardDialog } from "../../shared/Dialog";
import { plural } from "../../shared/format";
import { ProblemNotice } from "../../shared/ProblemNotice";
import { Prose } from "../../shared/Prose";
import { useUnsaved } from "../../shared/unsaved";
import type { Plan, StepChange } from "../types";
import { useCommand } from "./commands";
import { Buttons, type RunDialog, Secrets, secretsSchema, WithPlan } from "./dialogs";

const SourceText = lazy(async () => ({ default: (await import("../../editor/SourceText")).SourceText }));
const Verdict = lazy(async () => ({ default: (await import("../../editor/Diagnostics")).Verdict }));
const Problems = lazy(async () => ({ default: (await import("../../editor/Diagnostics")).Problems }));

export function EditDialog({ run, onClose }: RunDialog) {
  const [isChanged, setChanged] = useState(false);
  const [isAsked, setAsked] = useState(false);
  useUnsaved(isChanged);
  const leave = (): void => (isChanged ? setAsked(true) : onClose());
  return (
    <WithPlan runId={run.run_id} title="Continue with an edited pipeline" onClose={leave}>
      {(plan) => (
        <>
          <Edit {...{ run, plan, onChange: setChanged, onLeave: leave, onClose }} />
          {isAsked && <DiscardDialog onDiscard={onClose} onClose={() => setAsked(false)} />}
        </>
      )}
    </WithPlan>
  );
}

interface EditProps {
  run: RunView;
  plan: Plan;
  /** Whether the text differs from the run's. */
  onChange: (isChanged: boolean) => void;
  onLeave: () => void;
  onClose: () => void;
}

function Edit({ run, plan, onChange, onLeave, onClose }: EditProps) {
  const [source, setSource] = useState(plan.source);
  const editor = useRef<Editor>(null);
  const secrets = useSchemaForm(secretsSchema(plan));
  const checked = useChecked(source, plan.source_name);
  const isWrong = (checked ?? []).some((each) => each.severity === "error");
  const preview = useMutation({
    mutationFn: (text: string) =>
      data(
        client.POST("/v1/runs/{run_id}/changes", {
          params: { path: { run_id: run.run_id } },
          body: { source: text, name: plan.source_name, inputs: {} },
        }),
      ),
  });
  const file = useFile(plan, source);
  const command = useCommand(run.run_id, onClose);
  const isBusy = command.isPending || file.save.isPending;
  const go = async (): Promise<void> => {
    secrets.show();
    if (!secrets.isWrong) {
      await file.store();
      command.mutate({ kind: "resume", source, name: plan.source_name, inputs: secrets.values });
    }
  };
  return (
    <>
      <div className="row wrap">
        <code className="grow">{plan.source_name || "Pipeline"}</code>
        <span role="status">
          <Suspense fallback={null}>
            <Verdict diagnostics={checked} />
          </Suspense>
        </span>
      </div>
      {file.isNewer && (
        <div className="notice waiting">
          <div className="grow">The file has changed since this run read it.</div>
          <button
            type="button"
            className="button"
            onClick={() => {
              file.take();
              editor.current?.replace(file.text ?? "");
            }}
          >
            Use the file as it is now
          </button>
        </div>
      )}
      <Suspense fallback={<pre className="source-text">{plan.source}</pre>}>
        <SourceText
          initial={plan.source}
          readOnly={false}
          diagnostics={checked}
          editor={editor}
          onChange={(text) => {
            setSource(text);
            onChange(text !== plan.source);
            preview.reset();
          }}
        />
        <Problems diagnostics={checked ?? []} editor={() => editor.current} readOnly={false} />
      </Suspense>
      {preview.isError && <ProblemNotice error={preview.error} />}
      {preview.data !== undefined && (
        <>
          <Changes steps={preview.data.steps} />
          <Secrets plan={plan} form={secrets} error={command.error} />
          {file.canSave && (
            <label className="row">
              <input type="checkbox" checked={file.isWanted} onChange={(event) => file.want(event.target.checked)} />
              <span>
                Also save it to the file of <code>{plan.offered}</code>, so that later runs have it
              </span>
            </label>
          )}
          {file.save.isError && <ProblemNotice error={file.save.error} />}
        </>
      )}
      {preview.data === undefined ? (
        <Buttons
          action="See what is kept"
          busy={preview.isPending}
          disabled={isWrong}
          onClose={onLeave}
          onConfirm={() => preview.mutate(source)}
        />
      ) : (
        <Buttons
          action={file.canSave && file.isWanted ? "Save and continue" : "Continue with it"}
          busy={isBusy}
          onClose={onLeave}
          onConfirm={() => void go().catch(() => undefined)}
        />
      )}
    </>
  );
}

/**
 * The file that the run's pipeline came from, where the server offers it.
 *
 * It is written only by somebody who has seen what is in it: if it has changed since the run, after it was taken.
 */
function useFile(plan: Plan, source: string) {
  const queries = useQueryClient();
  const name = plan.offered ?? "";
  const found = useQuery({
    queryKey: ["pipeline", name],
    queryFn: ({ signal }) => data(client.GET("/v1/pipelines/{name}", { params: { path: { name } }, signal })),
    enabled: name !== "",
  });
  const [isTaken, setTaken] = useState(false);
  const [isWanted, want] = useState(true);
  const text = found.data?.source;
  const isNewer = text !== undefined && text !== plan.source && !isTaken;
  const canSave = text !== undefined && !isNewer && text !== source;
  const save = useMutation({
    mutationFn: (replaces: string) => data(client.PUT("/v1/pipelines/{name}", { params: { path: { name } }, body: { source, replaces } })),
    onSuccess: (saved: PipelineView) => {
      queries.setQueryData(["pipeline", name], saved);
      void queries.invalidateQueries({ queryKey: ["pipelines"] });
    },
  });
  const store = async (): Promise<void> => {
    if (canSave && isWanted && text !== undefined) {
      await save.mutateAsync(text);
    }
  };
  return { text, isNewer, take: () => setTaken(true), canSave, isWanted, want, save, store };
}

const WORDS: Record<StepChange["action"], string> = { keep: "kept", run: "runs", remove: "removed" };

function Changes({ steps }: { steps: StepChange[] }) {
  const kept = steps.filter((step) => step.action === "keep").length;
  return (
    <div>
      <p>
        {plural(kept, "step")} {kept === 1 ? "keeps its result" : "keep their results"}.
      </p>
      <ul className="plain changes" aria-label="What happens to each step">
        {steps.map((step) => (
          <li key={step.path} className={`change-${step.action}`}>
            <code>{step.path}</code> <strong>{step.action === "run" && step.ran ? "runs again" : WORDS[step.action]}</strong>
            {step.reason && (
              <span className="muted">
                : <Prose text={step.reason} />
              </span>
            )}
          </li>
        ))}
      </ul>
    </div>
  );
}
