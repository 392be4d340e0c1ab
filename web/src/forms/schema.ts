/** JSON Schemas of inputs and answers, as far as forms understand them; of the rest, forms take JSON. */

export interface Schema {
  type?: string | string[];
  description?: string;
  default?: unknown;
  enum?: unknown[];
  minimum?: number;
  maximum?: number;
  minLength?: number;
  maxLength?: number;
  minItems?: number;
  maxItems?: number;
  pattern?: string;
  format?: string;
  writeOnly?: boolean;
  items?: Schema;
  properties?: Record<string, Schema>;
  required?: string[];
}

export type Kind = "choice" | "boolean" | "number" | "text" | "secret" | "path" | "list" | "object" | "json";

const SIMPLE: Kind[] = ["choice", "number", "text", "path", "boolean"];

/** The type of a schema without null; empty where it allows several. */
export function typeOf(schema: Schema): string {
  const types = (Array.isArray(schema.type) ? schema.type : [schema.type ?? ""]).filter((type) => type !== "null");
  return types.length === 1 ? (types[0] ?? "") : "";
}

/** By which control a value is entered. */
export function kindOf(schema: Schema): Kind {
  if (schema.enum !== undefined) {
    return "choice";
  }
  if (schema.writeOnly) {
    return "secret";
  }
  switch (typeOf(schema)) {
    case "boolean":
      return "boolean";
    case "integer":
    case "number":
      return "number";
    case "string":
      return schema.format === "path" ? "path" : "text";
    case "array":
      return schema.items !== undefined && SIMPLE.includes(kindOf(schema.items)) ? "list" : "json";
    case "object":
      return schema.properties !== undefined ? "object" : "json";
    default:
      return "json";
  }
}

/** What values are allowed, in words: `a whole number from 1 to 5`. */
export function expectation(schema: Schema): string {
  const { minimum, maximum, minLength, maxLength, minItems, maxItems } = schema;
  switch (kindOf(schema)) {
    case "number": {
      const noun = typeOf(schema) === "integer" ? "a whole number" : "a number";
      return noun + between(minimum, maximum);
    }
    case "text":
    case "secret": {
      const length = between(minLength, maxLength, " characters");
      return schema.pattern !== undefined ? `matches ${schema.pattern}${length && `,${length}`}` : length.trim();
    }
    case "path":
      return "the path of a file that the server can read";
    case "list":
      return between(minItems, maxItems, " items").trim();
    case "json":
      return typeOf(schema) === "array" ? "a JSON array" : typeOf(schema) === "object" ? "a JSON object" : "text, or JSON";
    default:
      return "";
  }
}

function between(least: number | undefined, most: number | undefined, unit = ""): string {
  if (least !== undefined && most !== undefined) {
    return ` from ${least} to ${most}${unit}`;
  }
  if (least !== undefined) {
    return unit === "" ? ` of ${least} or more` : ` at least ${least}${unit}`;
  }
  return most === undefined ? "" : unit === "" ? ` of at most ${most}` : ` at most ${most}${unit}`;
}

/** The schema of an answer, from the declaration of what a question asks for. */
export function answerSchema(answer: Record<string, unknown>, choices?: unknown[]): Schema {
  const schema: Schema = {};
  const text = (key: string): string | undefined => (typeof answer[key] === "string" ? answer[key] : undefined);
  const number = (key: string): number | undefined => (typeof answer[key] === "number" ? answer[key] : undefined);
  const type = text("type") === "file" ? "string" : text("type");
  const longest = type === "array" ? "maxItems" : "maxLength";
  const shortest = type === "array" ? "minItems" : "minLength";
  const allowed = choices ?? (Array.isArray(answer["enum"]) ? answer["enum"] : undefined);
  const properties = answer["properties"];
  const items = answer["items"];
  Object.assign(
    schema,
    type !== undefined && { type },
    text("type") === "file" && { format: "path" },
    text("description") !== undefined && { description: text("description") },
    text("pattern") !== undefined && { pattern: text("pattern") },
    number("minimum") !== undefined && { minimum: number("minimum") },
    number("maximum") !== undefined && { maximum: number("maximum") },
    number("min_length") !== undefined && { [shortest]: number("min_length") },
    number("max_length") !== undefined && { [longest]: number("max_length") },
    answer["secret"] === true && { writeOnly: true },
    allowed !== undefined && { enum: allowed },
  );
  if (isRecord(items)) {
    schema.items = answerSchema(items);
  }
  if (isRecord(properties)) {
    schema.properties = Object.fromEntries(
      Object.entries(properties).map(([name, each]) => [name, answerSchema(isRecord(each) ? each : {})]),
    );
    schema.required = Object.entries(properties).flatMap(([name, each]) => (isRecord(each) && each["required"] === false ? [] : [name]));
  }
  return schema;
}

export function isRecord(value: unknown): value is Record<string, unknown> {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}
