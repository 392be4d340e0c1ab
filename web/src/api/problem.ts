/** What the API reports when a request fails (RFC 9457), as an error. */
import type { components } from "./schema";

type Described = components["schemas"]["ProblemDocument"];

/** What is known of each problem, and whatever else the document has. */
export type ProblemDocument = Pick<Described, "type" | "title" | "status" | "detail" | "code" | "help" | "remedies"> & Record<string, unknown>;

export interface Remedy {
  kind?: string;
  label: string;
  command: string;
  method?: string;
  href?: string;
  [field: string]: unknown;
}

export class Problem extends Error {
  readonly document: ProblemDocument;

  constructor(document: ProblemDocument) {
    super(document.detail);
    this.name = "Problem";
    this.document = document;
  }

  get status(): number {
    return this.document.status;
  }

  get code(): string {
    return this.document.code;
  }

  get help(): string | null {
    return this.document.help;
  }

  get remedies(): Remedy[] {
    return this.document.remedies as unknown as Remedy[];
  }
}

/** The problem of a request that received no response: the server is stopped, or the network is down. */
export function unreachable(): Problem {
  return new Problem({
    type: "about:blank",
    title: "server not reachable",
    status: 0,
    detail: "The server does not respond.",
    code: "",
    help: "Start it with `orchestrator serve`. This page reconnects by itself.",
    remedies: [],
  });
}

/** The problem in an error response, also where something between here and the server has sent it. */
export function problemOf(body: unknown, response: Response): Problem {
  if (typeof body === "object" && body !== null && "detail" in body && "code" in body) {
    return new Problem(body as ProblemDocument);
  }
  return new Problem({
    type: "about:blank",
    title: response.statusText,
    status: response.status,
    detail: `The server responded with status ${response.status}.`,
    code: "",
    help: null,
    remedies: [],
  });
}
