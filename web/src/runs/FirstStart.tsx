/** What is shown instead of an empty list: how the first run is made, and buttons that do it. */
import { useMutation, useQuery } from "@tanstack/react-query";
import { Play } from "lucide-react";
import { Link, useLocation } from "wouter";

import { client, data } from "../api/client";
import { queryClient, useMay } from "../api/queries";
import { pipelinesQuery } from "../pipelines/pipelines_query";
import { runAddress, startAddress } from "../shared/address";
import { ProblemNotice } from "../shared/ProblemNotice";

export function FirstStart() {
  const pipelines = useQuery(pipelinesQuery).data?.pipelines;
  if (pipelines === undefined) {
    return null;
  }
  const ready = pipelines.filter((pipeline) => pipeline.ok);
  return (
    <div className="empty stack">
      <h1>Nothing has run yet</h1>
      {ready.length > 0 ? (
        <>
          <p className="muted">Start one of the pipelines that this server offers:</p>
          <ul className="plain stack tight">
            {ready.slice(0, 8).map((pipeline) => (
              <li key={pipeline.name} className="row">
                <Link href={startAddress(pipeline.name)} className="button">
                  <Play size={14} aria-hidden /> {pipeline.title}
                </Link>
                <span className="muted truncate">{pipeline.description}</span>
              </li>
            ))}
          </ul>
          {ready.length > 8 && <Link href="/pipelines">All pipelines</Link>}
        </>
      ) : (
        <MakeFirst />
      )}
    </div>
  );
}

function MakeFirst() {
  const mayMake = useMay("admin");
  const [, navigate] = useLocation();
  const make = useMutation({
    mutationFn: async () => {
      const made = await data(client.POST("/v1/pipelines", { body: { name: "pipeline" } }));
      return data(client.POST("/v1/runs", { body: { pipeline: made.name } }));
    },
    onSuccess: ({ run }) => {
      void queryClient.invalidateQueries({ queryKey: ["pipelines"] });
      navigate(runAddress(run.run_id));
    },
  });
  return (
    <>
      <p className="muted">
        A pipeline is a YAML file of steps. The server offers those in its directory, and there is none yet. Write one in a
        terminal:
      </p>
      <pre className="panel panel-body">
        {"orchestrator init            # writes pipeline.yaml, with comments\norchestrator run pipeline.yaml"}
      </pre>
      {mayMake && (
        <>
          <p className="muted">
            Or let the server do both: it writes <code>pipeline.yaml</code>, which counts the words of a text and calls no
            model, and runs it.
          </p>
          <div>
            <button type="button" className="button primary" disabled={make.isPending} onClick={() => make.mutate()}>
              <Play size={14} aria-hidden /> Make and run a first pipeline
            </button>
          </div>
          {make.isError && <ProblemNotice error={make.error} />}
        </>
      )}
    </>
  );
}
