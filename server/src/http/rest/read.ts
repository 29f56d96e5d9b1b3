/**
 * Plain JSON and query parameters as messages of the contract: the other way of `@pawl/proto/plain`, with
 * the same names and forms. What a client gets wrong is INVALID_ARGUMENT with the field.
 */
import {
  type DescEnum,
  type DescField,
  type DescMessage,
  fromJson,
  type JsonObject,
  type JsonValue,
  type MessageShape,
  ScalarType,
} from "@bufbuild/protobuf";
import { enumWord, isPayload, isWellKnown } from "@pawl/proto/plain";
import { DURATION_EXAMPLES, durationOf } from "../../lib/duration.ts";
import { invalid } from "../../model/errors.ts";

const DURATION_TYPE = "google.protobuf.Duration";

/** In ms, of a duration such as `500ms`, `30s` or `1.5h`. */
export function parseDuration(field: string, value: string): number {
  const ms = durationOf(value);
  if (ms !== undefined) return ms;
  throw invalid(field, `is not a duration; write ${DURATION_EXAMPLES}`);
}

/**
 * A message from plain JSON.
 *
 * @param raw fields in the contract's own JSON form, which go in as they are
 */
export function readMessage<T extends DescMessage>(
  schema: T,
  json: JsonObject,
  raw: JsonObject = {},
): MessageShape<T> {
  const canonical = { ...canonicalMessage(schema, json, ""), ...raw };
  try {
    return fromJson(schema, canonical);
  } catch (cause) {
    const said = cause instanceof Error ? cause.message : String(cause);
    throw invalid("body", said.replace(/^cannot decode (message|field) \S+ from JSON: /, ""));
  }
}

function canonicalMessage(schema: DescMessage, json: JsonObject, path: string): JsonObject {
  const out: JsonObject = {};
  for (const [name, value] of Object.entries(json)) {
    const at = path === "" ? name : `${path}.${name}`;
    const payload = payloadOf(schema, name);
    if (payload !== undefined) {
      out[payload.jsonName] = readPayload(at, payload, json);
      continue;
    }
    const field = schema.fields.find(({ jsonName }) => jsonName === name);
    if (field === undefined) throw unknownName(at, namesOf(schema));
    if (value !== null) out[name] = canonicalField(field, value, at);
  }
  return out;
}

/** What a message can be given. */
export function namesOf(schema: DescMessage): string[] {
  return schema.fields.map(({ jsonName }) => jsonName);
}

export function unknownName(name: string, known: readonly string[]) {
  const list = known.length === 0 ? "there are none here" : `there are ${known.join(", ")}`;
  return invalid(name.slice(0, 100), `is not known; ${list}`);
}

/** The payload that a name sets: its own, or the one that the name's encoding is about. */
function payloadOf(schema: DescMessage, name: string): DescField | undefined {
  return schema.fields.find(
    ({ jsonName, message, fieldKind }) =>
      fieldKind === "message" &&
      isPayload(message) &&
      (jsonName === name || `${jsonName}Encoding` === name),
  );
}

function readPayload(at: string, field: DescField, json: JsonObject): JsonValue {
  const value = json[field.jsonName];
  const encoding = json[`${field.jsonName}Encoding`] ?? "json";
  if (typeof encoding !== "string") throw invalid(`${at}Encoding`, "must be text");
  if (encoding === "void") return { encoding, data: "" };
  if (value === undefined) throw invalid(field.jsonName, "must be set beside its encoding");
  if (encoding === "json" || encoding === "json+pawl") {
    return { encoding, data: Buffer.from(JSON.stringify(value)).toString("base64") };
  }
  if (typeof value !== "string") throw invalid(field.jsonName, `with ${encoding} must be base64`);
  return { encoding, data: value };
}

function canonicalField(field: DescField, value: JsonValue, at: string): JsonValue {
  switch (field.fieldKind) {
    case "list":
      if (!Array.isArray(value)) throw invalid(at, "must be a list");
      return value.map((item, index) => canonicalItem(field, item, `${at}[${index}]`));
    case "map":
      if (!isObject(value)) throw invalid(at, "must be an object");
      return Object.fromEntries(
        Object.entries(value).map(([key, item]) => [
          key,
          canonicalItem(field, item, `${at}.${key}`),
        ]),
      );
    default:
      return canonicalItem(field, value, at);
  }
}

function canonicalItem(field: DescField, value: JsonValue, at: string): JsonValue {
  if (field.enum !== undefined) return readEnum(field.enum, value, at);
  if (field.message !== undefined) {
    if (field.message.typeName === DURATION_TYPE) {
      if (typeof value !== "string") throw invalid(at, "must be a duration such as 30s");
      return seconds(parseDuration(at, value));
    }
    if (isWellKnown(field.message)) return value;
    if (!isObject(value)) throw invalid(at, "must be an object");
    return canonicalMessage(field.message, value, at);
  }
  checkScalar(field.scalar, value, at);
  return value;
}

function seconds(ms: number): string {
  return `${(ms / 1_000).toFixed(9).replace(/\.?0+$/, "")}s`;
}

function checkScalar(type: ScalarType | undefined, value: JsonValue, at: string): void {
  const wanted =
    type === ScalarType.STRING ? "string" : type === ScalarType.BOOL ? "boolean" : "number";
  const name = wanted === "string" ? "text" : wanted === "boolean" ? "true or false" : "a number";
  if (typeof value !== wanted) throw invalid(at, `must be ${name}`);
  if (typeof value !== "number" || type === ScalarType.DOUBLE) return;
  if (!Number.isInteger(value) || value < 0 || value > 0xffff_ffff) {
    throw invalid(at, `is ${value}; it must be a whole number from 0 on`);
  }
}

function readEnum(of: DescEnum, value: JsonValue, at: string): string {
  const asked = String(value).toLowerCase();
  const found = of.values.find(
    ({ name, number }) =>
      number !== 0 && (name.toLowerCase() === asked || enumWord(of, name) === asked),
  );
  if (found !== undefined) return found.name;
  throw invalid(at, `must be one of ${enumWords(of).join(", ")}`);
}

export function enumWords(of: DescEnum): string[] {
  return of.values.filter(({ number }) => number !== 0).map(({ name }) => enumWord(of, name));
}

export function isObject(value: JsonValue | undefined): value is JsonObject {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}

/** One query parameter or header as the JSON of the field that it sets. */
export function readParameter(
  field: DescField,
  values: readonly string[],
  name: string = field.jsonName,
): JsonValue {
  if (field.fieldKind === "map") return Object.fromEntries(values.map((one) => pair(name, one)));
  if (field.fieldKind === "list") {
    return values.flatMap((one) => one.split(",")).map((one) => readText(field, name, one));
  }
  const [only = "", another] = values;
  if (another !== undefined) throw invalid(name, "was given more than once");
  return readText(field, name, only);
}

function pair(name: string, text: string): [string, string] {
  const at = text.indexOf("=");
  if (at < 1) throw invalid(name, "must be KEY=VALUE");
  return [text.slice(0, at), text.slice(at + 1)];
}

function readText(field: DescField, name: string, text: string): JsonValue {
  if (field.scalar === undefined || field.scalar === ScalarType.STRING) return text;
  if (field.scalar === ScalarType.BOOL) {
    if (text === "true" || text === "") return true;
    if (text === "false") return false;
    throw invalid(name, "must be true or false");
  }
  if (!/^\d+(\.\d+)?$/.test(text)) throw invalid(name, "must be a number");
  return Number(text);
}
