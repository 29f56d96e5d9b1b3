/**
 * Messages of the contract as plain JSON, by their descriptors: the same for every route, and for
 * the schemas in `schema.ts`, which walk the same descriptors.
 *
 * - Numbers, booleans and lists are always there; texts, maps and enumerations unless empty;
 *   messages where set.
 * - An enumeration is its bare name (`COMPLETED`), a time RFC 3339, a duration seconds (`1.5s`).
 * - A payload is its value where its encoding is JSON. Otherwise a neighbour says what it is:
 *   `outputEncoding` is `json+pawl` (JSON in which tagged objects stand for dates, bytes …),
 *   `bytes` (the value is base64), `void` (null: there is no value), or one that only workers know
 *   (base64). What is too large to be inline is left out: `outputRef` says where to get it.
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
import { type Payload, PayloadSchema } from "@pawl/proto";
import { tryJson } from "../../lib/json.ts";
import { LIMITS } from "../../model/limits.ts";

const WELL_KNOWN = "google.protobuf.";
/** FeatureSet.FieldPresence.IMPLICIT: a zero value is not told from an unset one. */
const IMPLICIT = 2;

export function plain(schema: DescMessage, message: Message): JsonObject {
  return plainMessage(reflect(schema, message));
}

/** The fields of a message that have a JSON form of their own. */
export function isWellKnown(schema: DescMessage): boolean {
  return schema.typeName.startsWith(WELL_KNOWN);
}

export function isPayload(schema: DescMessage | undefined): boolean {
  return schema?.typeName === PayloadSchema.typeName;
}

/** `RUN_STATE_COMPLETED` of RunState: `COMPLETED`. */
export function bareName(of: DescEnum, name: string): string {
  const prefix = of.sharedPrefix?.toUpperCase() ?? "";
  return name.startsWith(prefix) ? name.slice(prefix.length) : name;
}

/** Whether a field without a value is there all the same. */
export function isAlwaysThere(field: DescField): boolean {
  if (field.fieldKind === "list") return true;
  if (field.fieldKind !== "scalar" || field.oneof !== undefined) return false;
  const { scalar, presence } = field;
  return presence === IMPLICIT && scalar !== ScalarType.STRING && scalar !== ScalarType.BYTES;
}

function plainMessage(message: ReflectMessage): JsonObject {
  const json: JsonObject = {};
  for (const field of message.fields) {
    if (message.isSet(field) || isAlwaysThere(field)) setField(json, field, message);
  }
  return json;
}

function setField(json: JsonObject, field: DescField, message: ReflectMessage): void {
  const name = field.jsonName;
  switch (field.fieldKind) {
    case "scalar":
      json[name] = scalar(message.get(field));
      return;
    case "enum":
      json[name] = enumName(field.enum, message.get(field));
      return;
    case "list":
      json[name] = [...message.get(field)].map((item) => element(field.enum, item));
      return;
    case "map":
      json[name] = Object.fromEntries(
        [...message.get(field)].map(([key, value]) => [String(key), element(field.enum, value)]),
      );
      return;
    case "message": {
      const inner = message.get(field);
      if (isMessage(inner.message, PayloadSchema)) setPayload(json, name, inner.message);
      else json[name] = element(undefined, inner);
    }
  }
}

function element(of: DescEnum | undefined, value: unknown): JsonValue {
  if (of !== undefined) return enumName(of, Number(value));
  if (!isReflected(value)) return scalar(value);
  return isWellKnown(value.desc) ? toJson(value.desc, value.message) : plainMessage(value);
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

function enumName(of: DescEnum, value: number): string {
  const found = of.value[value];
  return found === undefined ? String(value) : bareName(of, found.name);
}

function base64(bytes: Uint8Array): string {
  return Buffer.from(bytes).toString("base64");
}

/** Sets the value of a payload, and what is to be said about it. */
export function setPayload(json: JsonObject, name: string, payload: Payload): void {
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
  const read = isJson ? tryJson(payload.data, LIMITS.jsonDepth) : undefined;
  if (read === undefined) {
    // Raw bytes, another language's format, JSON in name only or too deep to be written again.
    json[name] = base64(payload.data);
    json[`${name}Encoding`] = isJson ? "bytes" : encoding;
    return;
  }
  json[name] = read.value as JsonValue;
  if (encoding !== "json") json[`${name}Encoding`] = encoding;
}
