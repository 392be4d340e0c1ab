/** Why a step is in its state, in sentences. */
import { useQuery } from "@tanstack/react-query";

import { ProblemNotice } from "../../shared/ProblemNotice";
import { Time } from "../../shared/Time";
import { whyQuery } from "../run_data";

export function WhyTab({ runId, path }: { runId: string; path: string }) {
  const why = useQuery(whyQuery(runId, path));
  if (why.isError) {
    return <ProblemNotice error={why.error} />;
  }
  return (
    <ol className="plain why">
      {why.data?.reasons.map((reason, index) => (
        <li key={index}>
          {reason.at !== null && (
            <span className="muted">
              <Time at={reason.at} />{" "}
            </span>
          )}
          <InCode text={reason.text} />
        </li>
      ))}
    </ol>
  );
}

/** A sentence whose names in backticks are code. */
export function InCode({ text }: { text: string }) {
  return <>{text.split("`").map((part, index) => (index % 2 === 1 ? <code key={index}>{part}</code> : part))}</>;
}
