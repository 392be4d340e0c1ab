/** What a form asks, and what the parts of the form are given. */

export interface PartProps {
  question: Record<string, unknown>;
  isBusy: boolean;
  mayAnswer: boolean;
  send: (value: unknown) => void;
}

export function Prompt({ question, otherwise }: { question: Record<string, unknown>; otherwise: string }) {
  return <h2 className="prompt">{String(question["prompt"] || otherwise)}</h2>;
}
