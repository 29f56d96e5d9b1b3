/** A thread that checks one value after the other. It may be ended at any moment. */
import { parentPort } from "node:worker_threads";
import { parseJson } from "../../lib/json.ts";
import type { CheckReply, CheckRequest } from "./check-messages.ts";
import { type CompiledSchema, compileSchema } from "./compile.ts";

/** The least recently compiled goes first. */
const COMPILED_MAX = 100;
const compiled = new Map<string, CompiledSchema>();

function compile({ schema, all }: CheckRequest): CompiledSchema {
  const key = `${all} ${schema}`;
  let made = compiled.get(key);
  if (made === undefined) {
    made = compileSchema(JSON.parse(schema), { linear: false, all });
    const [oldest] = compiled.keys();
    if (compiled.size >= COMPILED_MAX && oldest !== undefined) compiled.delete(oldest);
    compiled.set(key, made);
  }
  return made;
}

function serve(request: CheckRequest, send: (reply: CheckReply) => void): void {
  let schema: CompiledSchema;
  try {
    schema = compile(request);
  } catch (error) {
    send({ kind: "unusable", message: error instanceof Error ? error.message : String(error) });
    return;
  }
  const { data } = request;
  // Read by the sender before, so that it is JSON and not too deep.
  const value = data === undefined ? undefined : parseJson(data, Number.POSITIVE_INFINITY);
  send({ kind: "begun" });
  send({ kind: "checked", problems: data === undefined ? [] : schema.check(value) });
}

const port = parentPort;
if (port === null) throw new Error("This file runs in a worker thread only.");
port.on("message", (request: CheckRequest) => serve(request, (reply) => port.postMessage(reply)));
