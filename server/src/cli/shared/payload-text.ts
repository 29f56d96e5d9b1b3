/** Payloads on the command line: JSON in, something readable out. */
import { readFile } from "node:fs/promises";
import { create } from "@bufbuild/protobuf";
import { type Payload, PayloadSchema } from "@pawl/proto";
import { tryJson } from "../../lib/json.ts";
import { BOUNDS } from "../../model/bounds.ts";
import { usageError } from "./exit.ts";

/** JSON from an option, or from a file (`-` is standard input), as the server takes it. */
export async function payloadFrom(
  option: string,
  text: string | undefined,
  file: string | undefined,
): Promise<Payload | undefined> {
  if (text !== undefined && file !== undefined) {
    throw usageError(`${option} and --file cannot be combined.`);
  }
  const json = file === undefined ? text : await readInput(file);
  if (json === undefined) return undefined;
  try {
    JSON.parse(json);
  } catch (cause) {
    const said = cause instanceof Error ? cause.message : String(cause);
    const place = file === undefined ? option : `The content of ${file}`;
    throw usageError(
      `${place} is not JSON: ${said}.`,
      file === undefined ? `Quote it for the shell: ${option} '{"n": 1}'` : "",
    );
  }
  return create(PayloadSchema, { data: Buffer.from(json, "utf8"), encoding: "json" });
}

async function readInput(file: string): Promise<string> {
  if (file !== "-") {
    try {
      return await readFile(file, "utf8");
    } catch (cause) {
      const code = cause instanceof Error && "code" in cause ? String(cause.code) : String(cause);
      throw usageError(`Cannot read ${file}: ${code}.`);
    }
  }
  const pieces: Buffer[] = [];
  for await (const piece of process.stdin) pieces.push(Buffer.from(piece));
  return Buffer.concat(pieces).toString("utf8");
}

/** One line about a value, at most `width` characters. */
export function showPayload(payload: Payload | undefined, width: number): string {
  const text = payload === undefined ? "" : describe(payload);
  const line = text.replaceAll(/\s+/g, " ");
  return line.length <= width ? line : `${line.slice(0, Math.max(1, width - 1))}…`;
}

/** The whole value; JSON is indented. */
export function formatPayload(payload: Payload): string {
  if (payload.ref !== undefined || !isJson(payload.encoding)) return describe(payload);
  const text = Buffer.from(payload.data).toString("utf8");
  // Code may have labeled data `json` that is not, or that is nested too deeply: shown as it is.
  const read = tryJson(payload.data, BOUNDS.jsonDepth);
  return read === undefined ? text : JSON.stringify(read.value, undefined, 2);
}

function isJson(encoding: string): boolean {
  return encoding === "" || encoding === "json" || encoding === "json+pawl";
}

function describe(payload: Payload): string {
  if (payload.ref !== undefined) return `(${payload.ref.size} bytes, ${payload.ref.sha256})`;
  if (payload.encoding === "void") return "(nothing)";
  if (isJson(payload.encoding)) return Buffer.from(payload.data).toString("utf8");
  return `(${payload.data.byteLength} bytes, ${payload.encoding})`;
}
