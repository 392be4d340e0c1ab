/** Sends requests to the API, typed by its description. */
import createClient from "openapi-fetch";

import { problemOf, unreachable } from "./problem";
import type { paths } from "./schema";

const REMEMBERED = 50;

interface Known {
  tag: string;
  body: string;
  headers: Headers;
}

const known = new Map<string, Known>();

/** As `fetch`, and says which version of a resource it knows: one that has not changed is not sent again. */
async function fetchChanged(request: Request): Promise<Response> {
  const kept = request.method === "GET" ? known.get(request.url) : undefined;
  if (kept !== undefined) {
    request.headers.set("If-None-Match", kept.tag);
  }
  let response: Response;
  try {
    response = await fetch(request);
  } catch (error) {
    if (error instanceof DOMException && error.name === "AbortError") {
      throw error;
    }
    throw unreachable();
  }
  if (response.status === 304 && kept !== undefined) {
    return new Response(kept.body, { headers: kept.headers });
  }
  const tag = response.headers.get("ETag");
  if (request.method === "GET" && response.ok && tag !== null) {
    // Read as a whole before it is kept: the body of a request that is cancelled meanwhile could never be read.
    const body = await response.text();
    const { headers } = response;
    known.delete(request.url);
    known.set(request.url, { tag, body, headers });
    for (const oldest of known.keys()) {
      if (known.size <= REMEMBERED) {
        break;
      }
      known.delete(oldest);
    }
    return new Response(body, { headers });
  }
  return response;
}

export const client = createClient<paths>({ baseUrl: location.origin, fetch: fetchChanged, credentials: "same-origin" });

/** Forgets all responses, as they may be those of another user. */
export function forgetResponses(): void {
  known.clear();
}

interface Answered<T> {
  data?: T;
  error?: unknown;
  response: Response;
}

/** Returns the data of a response, or throws the Problem in it. */
export async function data<T>(answer: Promise<Answered<T>>): Promise<T> {
  const { data: found, error, response } = await answer;
  if (!response.ok) {
    throw problemOf(error, response);
  }
  return found as T;
}

/** Carries out a remedy that the API has a request for. */
export async function carryOut(method: string, href: string, body: unknown): Promise<unknown> {
  const response = await fetchChanged(
    new Request(new URL(href, location.origin), {
      method,
      headers: { "Content-Type": "application/json" },
      body: JSON.stringify(body),
    }),
  );
  const found: unknown = await response.json().catch(() => null);
  if (!response.ok) {
    throw problemOf(found, response);
  }
  return found;
}
