/**
 * Messages of the contract as plain JSON: the one form that they have over HTTP, in server-sent
 * events, in what SDKs send to web pages, and in what the command line prints.
 *
 * - Names are those of the contract in camelCase.
 * - Numbers, booleans and lists are always present; strings, maps and enums unless they are empty;
 *   messages if they are set.
 * - An enum is a lower-case word (`completed`, `timed_out`), a time is RFC 3339 in UTC, a duration
 *   is in seconds (`1.5s`).
 * - A payload is its value if its encoding is JSON. Otherwise a neighbor says what it is:
 *   `outputEncoding` is `json+pawl` (JSON in which tagged objects stand for dates, bytes and so on),
 *   `bytes` (the value is base64), `void` (null: there is no value), or one that only workers know
 *   (base64). A value too large to be inline is left out: `outputRef` says where to get it.
 */
import {
  type DescEnum,
  type DescField,
  type DescMessage,
  isMessage,
  type JsonObject,
  type JsonValue,
  type Message,
  ScalarType,
  toJson,
} from "@bufbuild/protobuf";
import { type ReflectMessage, reflect } from "@bufbuild/protobuf/reflect";
import { type Payload, PayloadSchema } from "../gen/pawl/v1/common_pb.js";

const WELL_KNOWN = "google.protobuf.";
/** FeatureSet.FieldPresence.IMPLICIT: a zero value is not told from an unset one. */
const IMPLICIT = 2;

/** The value of JSON text; undefined if it cannot be read, or not be written again. */
export type ReadJson = (data: Uint8Array) => { readonly value: unknown } | undefined;

export function plainJson(schema: DescMessage, message: Message, read: ReadJson): JsonObject {
  return plainMessage(reflect(schema, message), read);
}

/** The fields of a message that have a JSON form of their own. */
export function isWellKnown(schema: DescMessage): boolean {
  return schema.typeName.startsWith(WELL_KNOWN);
}

export function isPayload(schema: DescMessage | undefined): boolean {
  return schema?.typeName === PayloadSchema.typeName;
}

/** `RUN_STATUS_COMPLETED` of RunStatus: `completed`. */
export function enumWord(of: DescEnum, name: string): string {
  const prefix = of.sharedPrefix?.toUpperCase() ?? "";
  return (name.startsWith(prefix) ? name.slice(prefix.length) : name).toLowerCase();
}

/** Whether a field without a value is there all the same. */
export function isAlwaysThere(field: DescField): boolean {
  if (field.fieldKind === "list") return true;
  if (field.fieldKind !== "scalar" || field.oneof !== undefined) return false;
  const { scalar, presence } = field;
  return presence === IMPLICIT && scalar !== ScalarType.STRING && scalar !== ScalarType.BYTES;
}

function plainMessage(message: ReflectMessage, read: ReadJson): JsonObject {
  const json: JsonObject = {};
  for (const field of message.fields) {
    if (message.isSet(field) || isAlwaysThere(field)) setField(json, field, message, read);
  }
  return json;
}

function setField(
  json: JsonObject,
  field: DescField,
  message: ReflectMessage,
  read: ReadJson,
): void {
  const name = field.jsonName;
  switch (field.fieldKind) {
    case "scalar":
      json[name] = scalar(message.get(field));
      return;
    case "enum":
      json[name] = wordOf(field.enum, message.get(field));
      return;
    case "list":
      json[name] = [...message.get(field)].map((item) => element(field.enum, item, read));
      return;
    case "map":
      json[name] = Object.fromEntries(
        [...message.get(field)].map(([key, value]) => [
          String(key),
          element(field.enum, value, read),
        ]),
      );
      return;
    case "message": {
      const inner = message.get(field);
      if (isMessage(inner.message, PayloadSchema)) setPayload(json, name, inner.message, read);
      else json[name] = element(undefined, inner, read);
    }
  }
}

function element(of: DescEnum | undefined, value: unknown, read: ReadJson): JsonValue {
  if (of !== undefined) return wordOf(of, Number(value));
  if (!isReflected(value)) return scalar(value);
  return isWellKnown(value.desc) ? toJson(value.desc, value.message) : plainMessage(value, read);
}

function isReflected(value: unknown): value is ReflectMessage {
  return typeof value === "object" && value !== null && "desc" in value && "message" in value;
}

function scalar(value: unknown): JsonValue {
  switch (typeof value) {
    case "string":
    case "boolean":
      return value;
    case "number":
      return Number.isFinite(value) ? value : String(value);
    case "bigint":
      return String(value);
    default:
      return value instanceof Uint8Array ? base64(value) : null;
  }
}

function wordOf(of: DescEnum, value: number): string {
  const found = of.value[value];
  return found === undefined ? String(value) : enumWord(of, found.name);
}

function base64(bytes: Uint8Array): string {
  return Buffer.from(bytes).toString("base64");
}

/** Sets the value of a payload, and what is to be said about it. */
function setPayload(json: JsonObject, name: string, payload: Payload, readJson: ReadJson): void {
  const encoding = payload.encoding === "" ? "json" : payload.encoding;
  if (payload.ref !== undefined) {
    json[`${name}Ref`] = { sha256: payload.ref.sha256, size: payload.ref.size };
    if (encoding !== "json") json[`${name}Encoding`] = encoding;
    return;
  }
  if (encoding === "void") {
    json[name] = null;
    json[`${name}Encoding`] = encoding;
    return;
  }
  const isJson = encoding === "json" || encoding === "json+pawl";
  const read = isJson ? readJson(payload.data) : undefined;
  if (read === undefined) {
    // Raw bytes, another language's format, JSON in name only or too deep to be written again.
    json[name] = base64(payload.data);
    json[`${name}Encoding`] = isJson ? "bytes" : encoding;
    return;
  }
  json[name] = read.value as JsonValue;
  if (encoding !== "json") json[`${name}Encoding`] = encoding;
}
