/**
 * Routes that are one RPC each: path, query and body are fields of its request, the answer is its
 * response or one field of it, in plain JSON. The services are those that gRPC serves.
 */
import type {
  DescMessage,
  DescMethodUnary,
  JsonObject,
  JsonValue,
  Message,
} from "@bufbuild/protobuf";
import { isWellKnown } from "@pawl/proto/plain";
import { isPublic } from "../../auth/permissions.ts";
import type { Reason } from "../../model/errors.ts";
import { notFound } from "../../model/errors.ts";
import { plain } from "../../rpc/plain.ts";
import { parseJson, unsupportedType } from "../exchange.ts";
import { commentOn } from "./json-schema.ts";
import { readMessage } from "./read.ts";
import type { RestExchange } from "./rest-exchange.ts";
import {
  checkNoQuery,
  fieldAt,
  fieldOf,
  JSON_TYPE,
  type Method,
  type Operation,
  type Parameter,
  parameterOf,
  pathNames,
  type Route,
  readQuery,
  restNames,
  textParameter,
} from "./route.ts";

const BYTES_TYPE = "application/octet-stream";

export interface RpcRoute {
  readonly method: Method;
  readonly path: string;
  readonly rpc: DescMethodUnary;
  readonly id: string;
  readonly tag: string;
  readonly summary: string;
  readonly description?: string;
  /** The field of the response that is the answer; the whole response otherwise. */
  readonly result?: string;
  /** Of a success. Default: 200, or 204 without content. */
  readonly status?: number;
  /** Fields of the request that are not offered. */
  readonly without?: readonly string[];
  /** The payload that the whole body is; other fields are query parameters then. */
  readonly bodyIs?: string;
  /** The field that the header Idempotency-Key sets. */
  readonly idempotency?: string;
  /** What parameters and fields mean, by name, where the contract's own comment does not fit. */
  readonly about: Readonly<Record<string, string>>;
  readonly errors: readonly Reason[];
}

/** Where the fields of a request come from. */
interface Sources {
  readonly path: readonly string[];
  readonly query: readonly string[];
  readonly body: readonly string[];
}

export function rpcRoute(route: RpcRoute): Route {
  const sources = sourcesOf(route);
  return {
    operation: operationOf(route, sources),
    async serve(exchange, services) {
      const request = await readRequest(route, exchange);
      const response = await services.unary(route.rpc).call(request, exchange.context);
      if (route.rpc.output.fields.length === 0) exchange.empty(204);
      else exchange.json(route.status ?? 200, resultOf(route, response, exchange));
    },
  };
}

function sourcesOf({ rpc, path, method, without = [], bodyIs, idempotency }: RpcRoute): Sources {
  const hidden = [...without, ...(bodyIs === undefined ? [] : [bodyIs])];
  const rest = restNames(rpc.input, path, hidden);
  for (const name of [...pathNames(path), ...hidden]) fieldOf(rpc.input, name);
  const inQuery = method === "GET" || method === "DELETE" || bodyIs !== undefined;
  const query = inQuery
    ? rest.filter((name) => name !== idempotency).flatMap((name) => flatNames(rpc.input, name))
    : [];
  return { path: pathNames(path), query, body: inQuery ? [] : rest };
}

/** What fits query parameters: the field, or by dotted names the fields that it has. */
function flatNames(schema: DescMessage, name: string): string[] {
  const { fieldKind, message } = fieldOf(schema, name);
  if (message === undefined || (fieldKind === "message" && isWellKnown(message))) return [name];
  if (fieldKind !== "message") return [];
  return message.fields.flatMap(({ jsonName }) =>
    flatNames(message, jsonName).map((inner) => `${name}.${inner}`),
  );
}

/**
 * The request's message from everything that the client sent.
 *
 * @param others query parameters that the route reads by itself
 */
export async function readRequest(
  route: RpcRoute,
  exchange: RestExchange,
  others: readonly string[] = [],
): Promise<Message> {
  const { input } = route.rpc;
  const { query, body } = sourcesOf(route);
  const json: JsonObject = {};
  if (query.length > 0) Object.assign(json, readQuery(input, query, exchange.search, others));
  else checkNoQuery(exchange.search, others);
  if (body.length > 0) {
    const sent = await exchange.jsonObject();
    for (const name of pathNames(route.path)) delete sent[name];
    Object.assign(json, sent);
  }
  const raw = route.bodyIs === undefined ? {} : await readPayloadBody(route.bodyIs, exchange);
  const key = exchange.header("idempotency-key");
  if (route.idempotency !== undefined && key !== "") json[route.idempotency] = key;
  for (const name of pathNames(route.path)) json[name] = exchange.params[name] ?? "";
  return readMessage(input, json, raw);
}

/** The whole body as a payload, byte for byte: JSON, or anything else; an empty body means no value. */
async function readPayloadBody(name: string, exchange: RestExchange): Promise<JsonObject> {
  const body = await exchange.body();
  if (body.bytes.byteLength === 0 && body.type !== BYTES_TYPE) return {};
  const data = body.bytes.toString("base64");
  if (body.type === BYTES_TYPE) return { [name]: { data, encoding: "bytes" } };
  if (!/json$/.test(body.type)) throw unsupportedType(body.type, [JSON_TYPE, BYTES_TYPE]);
  parseJson(body);
  return { [name]: { data, encoding: "json" } };
}

function resultOf(route: RpcRoute, response: Message, exchange: RestExchange): JsonValue {
  const json = plain(route.rpc.output, response);
  if (route.result === undefined) return json;
  const value = json[route.result];
  if (value !== undefined) return value;
  const id = Object.values(exchange.params).at(-1) ?? "";
  throw notFound(route.result, id);
}

export function operationOf(route: RpcRoute, sources: Sources = sourcesOf(route)): Operation {
  const { rpc, about, method, path, id, tag, summary, errors } = route;
  const used = new Set<string>();
  const say = (name: string): string => {
    used.add(name);
    const { parent, name: own } = fieldAt(rpc.input, name);
    return about[name] ?? commentOn(`${parent.typeName}.${own}`);
  };
  const parameters: Parameter[] = [
    ...sources.path.map((name) => parameterOf(fieldOf(rpc.input, name), "path", say(name))),
    ...sources.query.map((name) => parameterOf(fieldAt(rpc.input, name), "query", say(name), name)),
  ];
  if (route.idempotency !== undefined) {
    parameters.push(textParameter("Idempotency-Key", "header", say(route.idempotency)));
  }
  const body = bodyOf(route, sources, say);
  for (const name of Object.keys(about)) {
    if (!used.has(name)) throw new Error(`${id}: ${name} is explained and not there.`);
  }
  const { description } = route;
  const answer = answerOf(rpc.output, route.result, route.status);
  return {
    ...{ method, path, id, tag, summary, parameters, errors },
    ...(description !== undefined && { description }),
    ...(body !== undefined && { body }),
    ...(isPublic(rpc) && { isPublic: true }),
    answers: [answer],
  };
}

function answerOf(
  output: DescMessage,
  result: string | undefined,
  status = 200,
): Operation["answers"][number] {
  if (output.fields.length === 0) return { status: 204, description: "Done." };
  const field = result === undefined ? undefined : fieldOf(output, result);
  const message = field === undefined ? output : field.message;
  if (message === undefined) throw new Error(`${output.typeName}.${result} is not a message.`);
  return {
    status,
    description: "Done.",
    content: { [JSON_TYPE]: (schemas) => schemas.ref(message) },
  };
}

function bodyOf(
  route: RpcRoute,
  sources: Sources,
  say: (name: string) => string,
): Operation["body"] {
  const { rpc, bodyIs } = route;
  if (bodyIs !== undefined) {
    const content = {
      [JSON_TYPE]: () => ({}),
      [BYTES_TYPE]: () => ({ type: "string", contentMediaType: BYTES_TYPE }),
    };
    return { required: false, description: say(bodyIs), content };
  }
  if (sources.body.length === 0) return undefined;
  const lines = sources.body.map((name) => `\`${name}\`: ${say(name)}`);
  const fields = sources.body.map((name) => fieldOf(rpc.input, name));
  return {
    required: false,
    description: lines.join("\n\n"),
    content: { [JSON_TYPE]: (schemas) => schemas.body(fields) },
  };
}
