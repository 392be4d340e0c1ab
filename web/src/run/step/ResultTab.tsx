/** What a step returned. A large output is loaded on demand, in parts. */
import { useState } from "react";

import { problemOf } from "../../api/problem";
import { bytes, count } from "../../shared/format";
import { ProblemNotice } from "../../shared/ProblemNotice";
import { Value } from "../../shared/Value";
import { CopyButton } from "../CopyButton";
import { usePartial } from "../feed";
import type { Selection } from "../selection";
import type { StepDetail } from "../types";

const PART = 200_000;
/** Up to this size, a whole output is read and shown as what it is. */
const MOST_WHOLE = 5_000_000;

export function ResultTab({ runId, detail, selection }: { runId: string; detail: StepDetail; selection: Selection }) {
  const { row } = detail;
  const text = usePartial(row.path);
  if (text !== "") {
    return <pre className="live-text">{text}</pre>;
  }
  if (row.state === "pending" && row.reason === "undone") {
    return <p className="muted">It had succeeded and was undone: it runs again when the run is resumed.</p>;
  }
  if (row.ended_at === null && row.state !== "succeeded") {
    return <p className="muted">{NOT_YET[row.state] ?? "It has no result."}</p>;
  }
  if (row.kind === "for_each") {
    return (
      <div className="stack">
        <Failed row={row} selection={selection} />
        <Output runId={runId} detail={detail} />
      </div>
    );
  }
  if (row.state !== "succeeded" && (!detail.has_output || detail.output === null)) {
    return <p className="muted">{NOT_YET[row.state] ?? "It has no result."}</p>;
  }
  return <Output runId={runId} detail={detail} />;
}

const NOT_YET: Record<string, string> = {
  pending: "It has not run yet.",
  running: "It is running.",
  waiting: "It waits.",
  skipped: "It was skipped.",
  cancelled: "It was cancelled.",
  failed: "It failed.",
};

function Failed({ row, selection }: { row: StepDetail["row"]; selection: Selection }) {
  if (row.failed_items.length === 0) {
    return null;
  }
  return (
    <div className="row wrap">
      <span className="state failed">{count(row.counts["failed"] ?? row.failed_items.length)} failed</span>
      {row.failed_items.map((path) => (
        <button key={path} type="button" className="chip failed-chip" onClick={() => selection.change({ step: path, tab: "error" })}>
          {path.slice(path.lastIndexOf("["))}
        </button>
      ))}
    </div>
  );
}

function Output({ runId, detail }: { runId: string; detail: StepDetail }) {
  if (detail.has_output) {
    return (
      <div className="with-copy">
        <CopyButton text={() => textOf(detail.output)} what="the result" />
        <Value value={detail.output} />
      </div>
    );
  }
  return detail.output_size === 0 ? <p className="muted">It has no result.</p> : <Large runId={runId} detail={detail} />;
}

function textOf(value: unknown): string {
  return typeof value === "string" ? value : JSON.stringify(value, null, 2);
}

function Large({ runId, detail }: { runId: string; detail: StepDetail }) {
  const [loaded, setLoaded] = useState<{ text: string; value?: unknown } | null>(null);
  const [error, setError] = useState<unknown>(null);
  const address = `/v1/runs/${encodeURIComponent(runId)}/output/${encodeURIComponent(detail.row.path)}`;
  const read = async (range: string | null): Promise<string> => {
    const response = await fetch(address, { headers: range === null ? {} : { Range: range }, credentials: "same-origin" });
    if (!response.ok) {
      throw problemOf(await response.json().catch(() => null), response);
    }
    return response.text();
  };
  const showPart = (): void => {
    const first = loaded?.text.length ?? 0;
    read(`bytes=${first}-${first + PART - 1}`).then((text) => setLoaded({ text: (loaded?.text ?? "") + text }), setError);
  };
  const showAll = (): void => {
    read(null).then((text) => setLoaded({ text, value: JSON.parse(text) as unknown }), setError);
  };
  return (
    <div className="stack tight">
      <p className="muted">The result is large: {bytes(detail.output_size)} of JSON.</p>
      <div className="row wrap">
        {detail.output_size <= MOST_WHOLE && loaded?.value === undefined && (
          <button type="button" className="button" onClick={showAll}>
            Load it
          </button>
        )}
        {loaded?.value === undefined && (loaded === null || loaded.text.length < detail.output_size) && (
          <button type="button" className="button" onClick={showPart}>
            {loaded === null ? "Show the beginning" : "Show more"}
          </button>
        )}
        <a className="button" href={address} download="output.json">
          Download
        </a>
      </div>
      {error !== null && <ProblemNotice error={error} />}
      {loaded !== null && (loaded.value !== undefined ? <Value value={loaded.value} isOpen /> : <pre>{loaded.text}</pre>)}
    </div>
  );
}
