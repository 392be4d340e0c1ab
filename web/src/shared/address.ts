/** What is shown is in the address of the page: links, reloads and the back button bring it back. */
import { useCallback } from "react";
import { useSearchParams } from "wouter";

/** Returns the value of a parameter of the address, and a function that sets it; an empty value removes it. */
export function useParameter(name: string): [string, (value: string) => void] {
  const [parameters, setParameters] = useSearchParams();
  const set = useCallback(
    (value: string) =>
      setParameters(
        (current) => {
          const changed = new URLSearchParams(current);
          if (value === "") {
            changed.delete(name);
          } else {
            changed.set(name, value);
          }
          return changed;
        },
        { replace: true },
      ),
    [name, setParameters],
  );
  return [parameters.get(name) ?? "", set];
}

/** The address of a run, of one of its steps if a path is given. */
export function runAddress(runId: string, step?: string): string {
  const base = `/runs/${encodeURIComponent(runId)}`;
  return step ? `${base}?step=${encodeURIComponent(step)}` : base;
}

/** Addresses of pipelines keep the slashes of their names. */
function named(name: string): string {
  return name.split("/").map(encodeURIComponent).join("/");
}

export function pipelineAddress(name: string): string {
  return `/pipelines/${named(name)}`;
}

/** The address of the form that starts a pipeline, filled as an earlier run was if its id is given. */
export function startAddress(name: string, run?: string): string {
  return run === undefined ? `/start/${named(name)}` : `/start/${named(name)}?run=${encodeURIComponent(run)}`;
}
