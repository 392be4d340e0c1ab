/** What starts the pipeline by itself: its schedules and webhooks, when each fires next, and what it has fired last. */
import { useMutation, useQuery, useQueryClient } from "@tanstack/react-query";
import { CirclePause, CirclePlay, Play, TriangleAlert } from "lucide-react";
import { useState } from "react";
import { Link } from "wouter";

import { client, data } from "../api/client";
import { useMay } from "../api/queries";
import type { components } from "../api/schema";
import { runAddress } from "../shared/address";
import { Confirm } from "../shared/Dialog";
import { ProblemNotice } from "../shared/ProblemNotice";
import { Time } from "../shared/Time";

type Trigger = components["schemas"]["TriggerView"];
type Firing = components["schemas"]["FiringView"];
type Command = "pause" | "resume" | "fire";

const POLL = 10_000;

export function Triggers({ pipeline }: { pipeline: string }) {
  const found = useQuery({
    queryKey: ["triggers"],
    queryFn: ({ signal }) => data(client.GET("/v1/triggers", { signal })),
    refetchInterval: POLL,
  });
  const triggers = (found.data?.triggers ?? []).filter((each) => each.pipeline === pipeline);
  if (triggers.length === 0) {
    return null;
  }
  return (
    <section className="panel" aria-labelledby="triggers">
      <div className="panel-title">
        <h2 id="triggers">Started by</h2>
      </div>
      <ul className="plain panel-body stack">
        {triggers.map((trigger) => (
          <TriggerLine key={trigger.id} trigger={trigger} />
        ))}
      </ul>
    </section>
  );
}

function TriggerLine({ trigger }: { trigger: Trigger }) {
  const queries = useQueryClient();
  const mayRun = useMay("run");
  const [isAsked, ask] = useState(false);
  const command = useMutation({
    mutationFn: async (kind: Command): Promise<void> => {
      const params = { path: { trigger_id: trigger.id } };
      if (kind === "fire") {
        await data(client.POST("/v1/triggers/{trigger_id}/fire", { params }));
      } else if (kind === "pause") {
        await data(client.POST("/v1/triggers/{trigger_id}/pause", { params }));
      } else {
        await data(client.POST("/v1/triggers/{trigger_id}/resume", { params }));
      }
    },
    onSuccess: () => {
      ask(false);
      void queries.invalidateQueries({ queryKey: ["triggers"] });
      void queries.invalidateQueries({ queryKey: ["runs"] });
    },
  });
  const isPaused = trigger.paused_at !== null;
  const last = trigger.firings[0];
  return (
    <li>
      <div className="row wrap">
        <strong>{trigger.name}</strong>
        {typeof trigger.declaration["schedule"] === "string" && <code>{trigger.declaration["schedule"]}</code>}
        {typeof trigger.declaration["timezone"] === "string" && <span className="muted">{trigger.declaration["timezone"]}</span>}
        <span className="muted">{trigger.description}</span>
      </div>
      <div className="muted small">
        <Next trigger={trigger} />
      </div>
      {last !== undefined && <LastFiring firing={last} />}
      {mayRun && (
        <div className="row wrap trigger-actions">
          <button type="button" className="button" disabled={command.isPending} onClick={() => command.mutate(isPaused ? "resume" : "pause")}>
            {isPaused ? <CirclePlay size={14} aria-hidden /> : <CirclePause size={14} aria-hidden />} {isPaused ? "Resume" : "Pause"}
          </button>
          {trigger.kind === "schedule" && (
            <button type="button" className="button" onClick={() => ask(true)}>
              <Play size={14} aria-hidden /> Fire now
            </button>
          )}
        </div>
      )}
      {command.isError && !isAsked && <ProblemNotice error={command.error} />}
      {isAsked && (
        <Confirm
          title={`Fire ${trigger.name} now?`}
          action="Fire it"
          busy={command.isPending}
          onConfirm={() => command.mutate("fire")}
          onClose={() => ask(false)}
        >
          <p>It starts a run with the inputs of the trigger, whatever its schedule says. The schedule does not change.</p>
          {command.isError && <ProblemNotice error={command.error} />}
        </Confirm>
      )}
    </li>
  );
}

function Next({ trigger }: { trigger: Trigger }) {
  const next = trigger.next[0];
  if (trigger.paused_at !== null) {
    return (
      <>
        paused <Time at={trigger.paused_at} />
        {trigger.paused_by && <> by {trigger.paused_by}</>}
      </>
    );
  }
  if (!trigger.ready) {
    return (
      <span className="state waiting">
        <TriangleAlert size={12} aria-hidden /> it cannot fire: its secret is not set on the server
      </span>
    );
  }
  return next === undefined ? (
    "when it receives a delivery"
  ) : (
    <>
      next <Time at={next} />
    </>
  );
}

function LastFiring({ firing }: { firing: Firing }) {
  return (
    <div className="muted small">
      last <Time at={firing.created_at} />:{" "}
      {firing.state === "started" ? (
        <Link href={runAddress(firing.run_id)}>
          <code>{firing.run_id}</code>
        </Link>
      ) : (
        <>
          {firing.state === "due" ? "its run will be started" : firing.state}
          {firing.reason !== "" && `, ${firing.reason}`}
        </>
      )}
    </div>
  );
}
