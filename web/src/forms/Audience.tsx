/** Who may answer a question, and what has happened since it was asked. */
import { useMay, useSession } from "../api/queries";

type Question = Record<string, unknown>;

/** The people and groups that a question is for; none: everybody who may answer. */
export function assigneesOf(question: Question): string[] {
  return textsOf(question["assignee"]);
}

/** Whether the user may answer a question: with the scope for it, as one of those who are asked, or as an admin. */
export function useMayAnswer(question: Question): boolean {
  const hasScope = useMay("answer");
  const isAdmin = useMay("admin");
  const isAsked = useIsAsked(question);
  return hasScope && (isAsked || isAdmin);
}

function useIsAsked(question: Question): boolean {
  const names = useSession().data?.asked_as ?? [];
  const assignees = assigneesOf(question);
  return assignees.length === 0 || assignees.some((each) => names.includes(each));
}

/** Says below a form who may answer, and why the user may or may not. */
export function AudienceNote({ question }: { question: Question }) {
  const session = useSession().data;
  const hasScope = useMay("answer");
  const isAdmin = useMay("admin");
  const isAsked = useIsAsked(question);
  const assignees = assigneesOf(question);
  const escalated = textsOf(question["escalated"]);
  const times = typeof question["reminded"] === "number" ? question["reminded"] : 0;
  const said = [
    assignees.length > 0 ? `For ${assignees.join(", ")}.` : "Anyone whose token has the scope answer may answer.",
    escalated.length > 0 && `Escalated to ${escalated.join(", ")}.`,
    times > 0 && `Reminded ${times === 1 ? "once" : `${times} times`}.`,
    !hasScope && "Your token lacks the scope answer, so that you cannot answer.",
    hasScope && !isAsked && !isAdmin && `You are ${session?.name ?? "somebody else"}, so that you cannot answer.`,
    hasScope && !isAsked && isAdmin && "You may answer because your token has the scope admin.",
  ];
  return <>{said.filter((each) => typeof each === "string").join(" ")}</>;
}

function textsOf(value: unknown): string[] {
  return Array.isArray(value) ? value.filter((each) => typeof each === "string") : [];
}
