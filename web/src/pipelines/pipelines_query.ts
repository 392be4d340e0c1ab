/** The pipelines that the server offers. */
import { queryOptions } from "@tanstack/react-query";

import { client, data } from "../api/client";

export const pipelinesQuery = queryOptions({
  queryKey: ["pipelines"],
  queryFn: ({ signal }) => data(client.GET("/v1/pipelines", { signal })),
  staleTime: 10_000,
});
