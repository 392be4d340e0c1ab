/** Shown instead of the page while nobody is logged in: how to log in, by the provider or with a token. */
import { useMutation, useQuery } from "@tanstack/react-query";
import { type FormEvent, useId, useState } from "react";

import { client, data, forgetResponses } from "../api/client";
import { queryClient } from "../api/queries";
import { ProblemNotice } from "../shared/ProblemNotice";
import { Mark } from "./Mark";

export function Login({ expired }: { expired: boolean }) {
  const [token, setToken] = useState("");
  const field = useId();
  const hint = useId();
  const login = useMutation({
    mutationFn: (given: string) => data(client.POST("/v1/session", { body: { token: given } })),
    onSuccess: (session) => {
      forgetResponses();
      queryClient.removeQueries({ predicate: (query) => query.queryKey[0] !== "session" });
      queryClient.setQueryData(["session"], session);
    },
  });
  const provider = useQuery({ queryKey: ["login"], queryFn: () => data(client.GET("/v1/login")), retry: false }).data?.provider;
  const submit = (event: FormEvent): void => {
    event.preventDefault();
    login.mutate(token.trim());
  };
  return (
    <main className="login">
      <form onSubmit={submit}>
        <div className="row">
          <Mark size={20} />
          <h1>{expired ? "Your session has ended" : "Log in"}</h1>
        </div>
        {provider && (
          <a className="button primary" href={provider.href}>
            Log in with {provider.label}
          </a>
        )}
        <p className="muted">
          {provider ? "Or open" : "Open"} the link that <code>orchestrator serve</code> prints when it starts, or enter a token.
        </p>
        <div className="field">
          <label htmlFor={field}>Token</label>
          <input
            id={field}
            className="input mono"
            type="password"
            autoComplete="current-password"
            autoFocus
            required
            value={token}
            aria-describedby={hint}
            onChange={(event) => setToken(event.target.value)}
          />
          <span id={hint} className="hint">
            <code>orchestrator tokens add NAME</code> makes one.
          </span>
        </div>
        {login.isError && <ProblemNotice error={login.error} />}
        <button className={provider ? "button" : "button primary"} type="submit" disabled={login.isPending || token.trim() === ""}>
          Log in
        </button>
      </form>
    </main>
  );
}
