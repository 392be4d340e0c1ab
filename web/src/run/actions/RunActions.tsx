/** The buttons of a run, by its state; each asks once and says what it will do. */
import { CirclePause, CirclePlay, CircleStop, GitFork, PencilLine, Play } from "lucide-react";
import { useState } from "react";
import { Link } from "wouter";

import { useMay } from "../../api/queries";
import { hasEnded, type RunView } from "../../api/types";
import { startAddress } from "../../shared/address";
import { CancelDialog, ForkDialog, PauseDialog, ResumeDialog } from "./dialogs";
import { EditDialog } from "./EditDialog";

type Asked = "pause" | "cancel" | "resume" | "edit" | "fork" | null;

/** `offered` is the name of the run's pipeline on this server, null if it has none. */
export function RunActions({ run, offered }: { run: RunView; offered: string | null }) {
  const mayRun = useMay("run");
  const mayEdit = useMay("admin");
  const [asked, ask] = useState<Asked>(null);
  if (!mayRun) {
    return null;
  }
  const close = (): void => ask(null);
  const isActive = run.state === "queued" || run.state === "running" || run.state === "waiting";
  return (
    <div className="row wrap actions" role="group" aria-label="Actions">
      {run.resumable && (
        <button type="button" className="button primary" onClick={() => ask("resume")}>
          <CirclePlay size={14} aria-hidden /> Resume
        </button>
      )}
      {isActive && (
        <button type="button" className="button" onClick={() => ask("pause")}>
          <CirclePause size={14} aria-hidden /> Pause
        </button>
      )}
      {mayEdit && !isActive && (
        <button type="button" className="button" onClick={() => ask("edit")}>
          <PencilLine size={14} aria-hidden /> Edit
        </button>
      )}
      <button type="button" className={run.failed_on_purpose ? "button primary" : "button"} onClick={() => ask("fork")}>
        <GitFork size={14} aria-hidden /> Fork
      </button>
      {hasEnded(run) && offered !== null && (
        <Link href={startAddress(offered, run.run_id)} className="button">
          <Play size={14} aria-hidden /> Start again
        </Link>
      )}
      {!hasEnded(run) && (
        <button type="button" className="button" onClick={() => ask("cancel")}>
          <CircleStop size={14} aria-hidden /> Cancel
        </button>
      )}
      {asked === "pause" && <PauseDialog run={run} onClose={close} />}
      {asked === "cancel" && <CancelDialog run={run} onClose={close} />}
      {asked === "resume" && <ResumeDialog run={run} onClose={close} />}
      {asked === "edit" && <EditDialog run={run} onClose={close} />}
      {asked === "fork" && <ForkDialog run={run} onClose={close} />}
    </div>
  );
}
