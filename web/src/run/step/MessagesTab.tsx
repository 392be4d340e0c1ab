/** The messages to and from the models of a step, with what a model is writing now. */
import { useQuery } from "@tanstack/react-query";
import { useEffect, useRef } from "react";

import { cost, count, duration } from "../../shared/format";
import { ProblemNotice } from "../../shared/ProblemNotice";
import { Time } from "../../shared/Time";
import { Json, Value } from "../../shared/Value";
import { useFeedState } from "../feed";
import { messagesQuery } from "../run_data";
import type { Selection } from "../selection";
import type { Message, ModelCall } from "../types";

export function MessagesTab({ runId, path, selection }: { runId: string; path: string; selection: Selection }) {
  const messages = useQuery(messagesQuery(runId, path));
  const { partials } = useFeedState();
  const live = [...partials].filter(([step]) => step === path || step.startsWith(`${path}[`));
  const found = messages.data?.messages ?? [];
  if (messages.isError) {
    return <ProblemNotice error={messages.error} />;
  }
  const isEmpty = messages.data !== undefined && found.length + (messages.data?.calls.length ?? 0) + live.length === 0;
  return (
    <div className="stack">
      {messages.data?.problem && <p className="muted">The first messages are not known: {messages.data.problem}</p>}
      {isEmpty && <p className="muted">It calls no model.</p>}
      {found.map((message, index) => (
        <MessageBlock key={index} message={message} selection={selection} />
      ))}
      {live.map(([step, text]) => (
        <Live key={step} text={text} />
      ))}
      {(messages.data?.calls.length ?? 0) > 0 && <Calls calls={messages.data?.calls ?? []} />}
    </div>
  );
}

function MessageBlock({ message, selection }: { message: Message; selection: Selection }) {
  return (
    <article className={`message ${message.role}`}>
      <h3 className="row">
        {message.role}
        {message.name !== "" && <code>{message.name}</code>}
        {message.turn !== null && <span className="muted small">turn {message.turn + 1}</span>}
      </h3>
      {message.content !== "" && message.content !== null && <Value value={message.content} />}
      {message.requests.map((request) => (
        <div key={String(request["id"])} className="tool-call">
          <button type="button" className="link mono" onClick={() => selection.change({ step: String(request["path"]), tab: "" })}>
            {String(request["name"])}
          </button>
          <Json value={request["arguments"]} />
        </div>
      ))}
    </article>
  );
}

/** What a model is writing; the end stays in view while the reader is at the end. */
function Live({ text }: { text: string }) {
  const block = useRef<HTMLPreElement>(null);
  useEffect(() => {
    const element = block.current;
    if (element !== null && element.scrollHeight - element.scrollTop - element.clientHeight < 80) {
      element.scrollTop = element.scrollHeight;
    }
  }, [text]);
  return (
    <article className="message assistant">
      <h3>assistant, writing</h3>
      <pre ref={block} className="live-text" tabIndex={0} aria-label="What the model is writing">
        {text}
      </pre>
    </article>
  );
}

function Calls({ calls }: { calls: ModelCall[] }) {
  return (
    <section>
      <h3>Calls</h3>
      <div className="scroll-x" tabIndex={0} role="group" aria-label="Calls of models">
        <table className="plain-table">
          <thead>
            <tr>
              <th scope="col">Model</th>
              <th scope="col">When</th>
              <th scope="col" className="number">
                Took
              </th>
              <th scope="col" className="number">
                Tokens in
              </th>
              <th scope="col" className="number">
                out
              </th>
              <th scope="col" className="number">
                Cost
              </th>
            </tr>
          </thead>
          <tbody>
            {calls.map((call) => (
              <tr key={call.seq} title={call.why ?? undefined}>
                <td>
                  {call.model}
                  {call.error !== null && <div className="state failed small">{String(call.error["message"] ?? "failed")}</div>}
                </td>
                <td>
                  <Time at={call.at} />
                </td>
                <td className="number">{call.latency === null ? "" : duration(call.latency)}</td>
                <td className="number">{count(call.usage.input)}</td>
                <td className="number">{count(call.usage.output)}</td>
                <td className="number">{cost({ cost: call.cost, known_cost: call.cost ?? 0, model_calls: 1 })}</td>
              </tr>
            ))}
          </tbody>
        </table>
      </div>
    </section>
  );
}
