/** The controls that filter the list of runs, and the views that were saved. */
import { useQuery } from "@tanstack/react-query";
import { Search, Star, X } from "lucide-react";
import { type RefObject, useEffect, useState } from "react";
import { Link } from "wouter";

import { pipelinesQuery } from "../pipelines/pipelines_query";
import { Dialog } from "../shared/Dialog";
import { isEmpty, NO_FILTER, PERIODS, queryOf, type RunFilter, STATES } from "./filter";
import { useSavedViews } from "./saved_views";

const TYPING = 250;

interface FiltersProps {
  filter: RunFilter;
  change: (change: Partial<RunFilter>) => void;
  search: RefObject<HTMLInputElement | null>;
}

export function Filters({ filter, change, search }: FiltersProps) {
  const pipelines = useQuery(pipelinesQuery).data?.pipelines ?? [];
  const ids = [...new Set([...pipelines.map((pipeline) => pipeline.id), ...(filter.pipeline ? [filter.pipeline] : [])])];
  return (
    <div className="filters" role="search" aria-label="Filter runs">
      <SearchField text={filter.text} onChange={(text) => change({ text })} field={search} />
      <select
        className="input small"
        aria-label="State"
        value={filter.state}
        onChange={(event) => change({ state: event.target.value as RunFilter["state"] })}
      >
        <option value="">Any state</option>
        {STATES.map((state) => (
          <option key={state}>{state}</option>
        ))}
      </select>
      <select
        className="input small"
        aria-label="Pipeline"
        value={filter.pipeline}
        onChange={(event) => change({ pipeline: event.target.value })}
      >
        <option value="">Any pipeline</option>
        {ids.sort().map((id) => (
          <option key={id}>{id}</option>
        ))}
      </select>
      <select
        className="input small"
        aria-label="Started"
        value={filter.period}
        onChange={(event) => change({ period: event.target.value })}
      >
        <option value="">Any time</option>
        {Object.entries(PERIODS).map(([word, { label }]) => (
          <option key={word} value={word}>
            {label}
          </option>
        ))}
      </select>
      {filter.label !== "" && <Chip name="label" value={filter.label} onRemove={() => change({ label: "" })} />}
      {filter.batch !== "" && <Chip name="batch" value={filter.batch} onRemove={() => change({ batch: "" })} />}
      {!isEmpty(filter) && (
        <button type="button" className="button quiet" onClick={() => change(NO_FILTER)}>
          Clear
        </button>
      )}
      <Views filter={filter} />
    </div>
  );
}

/** A text that filters once typing has paused. */
function SearchField({
  text,
  onChange,
  field,
}: {
  text: string;
  onChange: (text: string) => void;
  field: RefObject<HTMLInputElement | null>;
}) {
  const [typed, setTyped] = useState(text);
  useEffect(() => setTyped(text), [text]);
  useEffect(() => {
    if (typed === text) {
      return;
    }
    const timer = window.setTimeout(() => onChange(typed), TYPING);
    return () => window.clearTimeout(timer);
  });
  return (
    <div className="search">
      <Search size={14} aria-hidden />
      <input
        ref={field}
        className="input small"
        type="search"
        placeholder="Pipeline, run or label"
        aria-label="Search runs by pipeline, run id or label"
        maxLength={200}
        value={typed}
        onChange={(event) => setTyped(event.target.value)}
        onKeyDown={(event) => {
          if (event.key === "Escape") {
            setTyped("");
            event.currentTarget.blur();
          }
        }}
      />
    </div>
  );
}

function Chip({ name, value, onRemove }: { name: string; value: string; onRemove: () => void }) {
  return (
    <span className="chip">
      {name}: <span className="truncate">{value}</span>
      <button type="button" className="chip-remove" aria-label={`Remove the filter ${name}`} onClick={onRemove}>
        <X size={12} aria-hidden />
      </button>
    </span>
  );
}

function Views({ filter }: { filter: RunFilter }) {
  const [views, save, remove] = useSavedViews();
  const [naming, setNaming] = useState(false);
  const query = queryOf(filter);
  const isSaved = views.some((view) => view.query === query);
  return (
    <>
      {views.map((view) => (
        <span key={view.name} className="chip" data-current={view.query === query}>
          <Link href={`/runs?${view.query}`}>{view.name}</Link>
          <button type="button" className="chip-remove" aria-label={`Remove the view ${view.name}`} onClick={() => remove(view.name)}>
            <X size={12} aria-hidden />
          </button>
        </span>
      ))}
      {query !== "" && !isSaved && (
        <button type="button" className="button quiet" onClick={() => setNaming(true)}>
          <Star size={14} aria-hidden /> Save view
        </button>
      )}
      {naming && (
        <Dialog title="Save this view" onClose={() => setNaming(false)}>
          <form
            className="stack"
            onSubmit={(event) => {
              event.preventDefault();
              const name = String(new FormData(event.currentTarget).get("name")).trim();
              if (name !== "") {
                save({ name, query });
                setNaming(false);
              }
            }}
          >
            <div className="field">
              <label htmlFor="view-name">Name</label>
              <input id="view-name" name="name" className="input" maxLength={40} required autoFocus />
              <span className="hint">The filters are saved under this name in this browser.</span>
            </div>
            <div className="dialog-actions">
              <button type="button" className="button" onClick={() => setNaming(false)}>
                Back
              </button>
              <button type="submit" className="button primary">
                Save
              </button>
            </div>
          </form>
        </Dialog>
      )}
    </>
  );
}
