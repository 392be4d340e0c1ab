/** Shows why a request failed, with what to do about it. */
import { CircleAlert } from "lucide-react";

import { Problem } from "../api/problem";
import { Prose } from "./Prose";

export function ProblemNotice({ error, children }: { error: unknown; children?: React.ReactNode }) {
  const problem = error instanceof Problem ? error : null;
  const message = problem?.message ?? (error instanceof Error ? error.message : String(error));
  const problems = problem?.document["problems"];
  return (
    <div className="notice failed" role="alert">
      <CircleAlert size={16} aria-hidden />
      <div className="grow">
        <div>
          <Prose text={message} /> {problem?.code && <code className="muted">{problem.code}</code>}
        </div>
        {Array.isArray(problems) && problems.length > 1 && (
          <ul className="problems">
            {problems.map((each) => (
              <li key={String(each)}>
                <Prose text={String(each)} />
              </li>
            ))}
          </ul>
        )}
        {problem?.help && <div className="muted">
            <Prose text={problem.help} />
          </div>}
        {children}
      </div>
    </div>
  );
}
