/** The steps of a pipeline and their dependencies, drawn by the server. */
import { useQuery } from "@tanstack/react-query";
import { useEffect, useState } from "react";

import { client, data } from "../api/client";
import type { PipelineView } from "../api/types";

export function PlanPicture({ pipeline }: { pipeline: PipelineView }) {
  const drawn = useQuery({
    queryKey: ["drawn", pipeline.name, pipeline.graph],
    queryFn: ({ signal }) =>
      data(client.POST("/v1/pipelines/draw", { body: { pipeline: pipeline.name, format: "svg" }, parseAs: "text", signal })),
    staleTime: Number.POSITIVE_INFINITY,
  }).data;
  const address = useAddress(drawn as string | undefined);
  return (
    <section className="panel" aria-labelledby="steps-of">
      <div className="panel-title">
        <h2 id="steps-of">Steps</h2>
      </div>
      <div className="panel-body plan-picture" tabIndex={0} role="group" aria-labelledby="steps-of">
        {address !== null && <img src={address} alt={`The steps of ${pipeline.title} and their dependencies`} />}
      </div>
    </section>
  );
}

/** The address of a picture while it is shown. As an image, a picture cannot run anything. */
function useAddress(svg: string | undefined): string | null {
  const [address, setAddress] = useState<string | null>(null);
  useEffect(() => {
    if (svg === undefined) {
      return undefined;
    }
    const made = URL.createObjectURL(new Blob([svg], { type: "image/svg+xml" }));
    setAddress(made);
    return () => URL.revokeObjectURL(made);
  }, [svg]);
  return address;
}
