/** Reading the API from components: what is read once is shared, and kept while it is shown. */
import { QueryClient, useQuery } from "@tanstack/react-query";

import { client, data } from "./client";
import { Problem } from "./problem";
import type { Scope, SessionView } from "./types";

/** How often lists are read again, in milliseconds. What has not changed is not sent again. */
export const POLL = 2_000;

export const queryClient = new QueryClient({
  defaultOptions: {
    queries: {
      // A request that was refused is not repeated; one that the server could not serve is.
      retry: (count, error) => count < 3 && !(error instanceof Problem && error.status >= 400 && error.status < 500),
      // What could not be read because the server was away is read when it is back.
      refetchInterval: (query) => (query.state.status === "error" && isAway(query.state.error) ? POLL : false),
      networkMode: "always",
      refetchOnWindowFocus: true,
      staleTime: 1_000,
    },
    mutations: { networkMode: "always" },
  },
});

function isAway(error: Error | null): boolean {
  return !(error instanceof Problem) || error.status < 400 || error.status >= 500;
}

/** Who is logged in, with what that permits; null: nobody. */
export function useSession() {
  return useQuery<SessionView | null>({
    queryKey: ["session"],
    queryFn: async ({ signal }) => {
      try {
        return await data(client.GET("/v1/session", { signal }));
      } catch (error) {
        if (error instanceof Problem && error.status === 401) {
          return null;
        }
        throw error;
      }
    },
    staleTime: 60_000,
    refetchInterval: (query) => (query.state.status === "error" ? POLL : false),
  });
}

/** Whether the user may do what a scope permits. */
export function useMay(scope: Scope): boolean {
  return useSession().data?.scopes.includes(scope) ?? false;
}
