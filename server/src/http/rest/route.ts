/**
 * What a route of the REST surface is. The table of routes is the one source of what is served and
 * of what /openapi.json tells.
 */
import type { DescField, DescMessage, DescMethod, JsonObject, JsonValue } from "@bufbuild/protobuf";
import { invalid, type Reason } from "../../model/errors.ts";
import type { ServerStreamBinding, UnaryBinding } from "../../rpc/binding.ts";
import type { Schemas } from "./json-schema.ts";
import { isObject, namesOf, readParameter, unknownName } from "./read.ts";
import type { RestExchange } from "./rest-exchange.ts";

export type Method = "GET" | "POST" | "PATCH" | "PUT" | "DELETE";

/** The services, as the routes call them: with messages, whatever their types. */
export interface Services {
  unary(method: DescMethod): UnaryBinding;
  stream(method: DescMethod): ServerStreamBinding;
}

/** A parameter in the path, the query or a header. */
export interface Parameter {
  readonly name: string;
  readonly in: "path" | "query" | "header";
  readonly description: string;
  readonly schema: (schemas: Schemas) => JsonObject;
}

/** One kind of answer. */
export interface AnswerSpec {
  readonly status: number;
  readonly description: string;
  /** Content type → schema. None: no body. */
  readonly content?: Readonly<Record<string, (schemas: Schemas) => JsonObject>>;
  readonly headers?: Readonly<Record<string, string>>;
}

/** What OpenAPI tells about a route. */
export interface Operation {
  readonly method: Method;
  /** `/v1/runs/{runId}`. */
  readonly path: string;
  /** Unique; what generated clients call the function. */
  readonly id: string;
  /** The heading that it is listed under. */
  readonly tag: string;
  readonly summary: string;
  readonly description?: string;
  readonly parameters: readonly Parameter[];
  readonly body?: {
    readonly required: boolean;
    readonly description: string;
    readonly content: Readonly<Record<string, (schemas: Schemas) => JsonObject>>;
  };
  readonly answers: readonly AnswerSpec[];
  /** Whether it needs no credential. */
  readonly isPublic?: boolean;
  /** The reasons that it is refused for, besides those that all have. */
  readonly errors: readonly Reason[];
}

export interface Route {
  readonly operation: Operation;
  serve(exchange: RestExchange, services: Services): Promise<void>;
}

export const JSON_TYPE = "application/json";

/** The names in braces. */
export function pathNames(path: string): string[] {
  return [...path.matchAll(/\{(\w+)\}/g)].map((match) => match[1] ?? "");
}

export function fieldOf(schema: DescMessage, name: string): DescField {
  const field = schema.fields.find(({ jsonName }) => jsonName === name);
  if (field === undefined) throw new Error(`${schema.typeName} has no field ${name}.`);
  return field;
}

/** The field that a dotted name leads to: `flow.rate.limit` is the limit of the rate of the flow. */
export function fieldAt(schema: DescMessage, name: string): DescField {
  const [first = "", ...rest] = name.split(".");
  const field = fieldOf(schema, first);
  if (rest.length === 0) return field;
  if (field.message === undefined) throw new Error(`${schema.typeName}.${first} has no fields.`);
  return fieldAt(field.message, rest.join("."));
}

export function parameterOf(
  field: DescField,
  where: Parameter["in"],
  description: string,
  name: string = field.jsonName,
): Parameter {
  return {
    name,
    in: where,
    description,
    schema: (schemas) => schemas.parameter(field),
  };
}

export function textParameter(
  name: string,
  where: Parameter["in"],
  description: string,
  schema: JsonObject = { type: "string" },
): Parameter {
  return { name, in: where, description, schema: () => schema };
}

/**
 * The JSON that query parameters set, each a field of the message, or by a dotted name one of a
 * message in it.
 *
 * @param others names that are read elsewhere
 */
export function readQuery(
  schema: DescMessage,
  allowed: readonly string[],
  search: URLSearchParams,
  others: readonly string[] = [],
): JsonObject {
  const json: JsonObject = {};
  for (const name of new Set(search.keys())) {
    if (others.includes(name)) continue;
    if (!allowed.includes(name)) throw unknownName(name, [...allowed, ...others]);
    setAt(json, name, readParameter(fieldAt(schema, name), search.getAll(name), name));
  }
  return json;
}

function setAt(json: JsonObject, name: string, value: JsonValue): void {
  const dot = name.indexOf(".");
  if (dot < 0) {
    json[name] = value;
    return;
  }
  const first = name.slice(0, dot);
  const inner = json[first];
  const object = isObject(inner) ? inner : {};
  json[first] = object;
  setAt(object, name.slice(dot + 1), value);
}

/** The names in a message's fields that are not in the path. */
export function restNames(schema: DescMessage, path: string, without: readonly string[]): string[] {
  const taken = new Set([...pathNames(path), ...without]);
  return namesOf(schema).filter((name) => !taken.has(name));
}

/** Refuses parameters where none are taken. */
export function checkNoQuery(search: URLSearchParams, known: readonly string[] = []): void {
  for (const name of search.keys()) if (!known.includes(name)) throw unknownName(name, known);
}

/** One value of a query parameter; undefined where it is not given. */
export function queryText(search: URLSearchParams, name: string): string | undefined {
  const values = search.getAll(name);
  if (values.length > 1) throw invalid(name, "was given more than once");
  return values[0];
}
