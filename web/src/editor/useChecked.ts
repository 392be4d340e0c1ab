/** Checks the text of a pipeline while it is edited. */
import { useQuery } from "@tanstack/react-query";
import { useEffect, useState } from "react";

import { client, data } from "../api/client";
import type { DiagnosticView } from "../api/types";

const TYPING = 300;

/** A text whose problems are known already. */
export interface Checked {
  source: string;
  diagnostics: DiagnosticView[];
}

/** Returns the problems of a text once typing has paused; undefined while it is checked. `name` is that of its file. */
export function useChecked(text: string, name: string, known?: Checked): DiagnosticView[] | undefined {
  const [settled, setSettled] = useState(text);
  useEffect(() => {
    const timer = window.setTimeout(() => setSettled(text), TYPING);
    return () => window.clearTimeout(timer);
  }, [text]);
  const isKnown = settled === known?.source;
  const check = useQuery({
    queryKey: ["check", name, settled],
    queryFn: ({ signal }) => data(client.POST("/v1/pipelines/check", { body: { source: settled, name }, signal })),
    enabled: !isKnown,
    staleTime: Number.POSITIVE_INFINITY,
    gcTime: 60_000,
  });
  if (settled !== text) {
    return undefined;
  }
  return isKnown ? known?.diagnostics : check.data?.diagnostics;
}
