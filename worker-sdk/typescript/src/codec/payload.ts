import { hash } from "node:crypto";
import { types } from "node:util";
import type { MessageInitShape } from "@bufbuild/protobuf";
import type { PayloadSchema } from "@pawl/proto";
import { TerminalError } from "../errors.ts";
import { mendTexts, revive } from "./decode.ts";
import { toJsonValue } from "./encode.ts";

/** A payload as it goes into a request. */
export type PayloadInit = MessageInitShape<typeof PayloadSchema>;

/** What a received payload consists of. */
export interface ReceivedPayload {
  readonly data: Uint8Array;
  readonly encoding: string;
  readonly ref?: { readonly sha256: string; readonly size: number } | undefined;
}

/** An encoded value together with what decoding it yields. */
export interface Encoded {
  readonly data: Uint8Array;
  readonly encoding: "json" | "json+pawl" | "bytes" | "void";
  /** The value as a replay would see it. */
  decoded(): unknown;
}

const nothing = new Uint8Array(0);

class EncodedVoid implements Encoded {
  readonly data = nothing;
  readonly encoding = "void";
  decoded(): undefined {
    return undefined;
  }
}

class EncodedBytes implements Encoded {
  readonly data: Uint8Array;
  readonly encoding = "bytes";
  constructor(data: Uint8Array) {
    this.data = data;
  }
  decoded(): Uint8Array {
    return new Uint8Array(this.data);
  }
}

class EncodedJson implements Encoded {
  readonly data: Uint8Array;
  readonly encoding: "json" | "json+pawl";
  readonly #text: string;
  constructor(text: string, encoding: "json" | "json+pawl") {
    this.data = Buffer.from(text, "utf8");
    this.encoding = encoding;
    this.#text = text;
  }
  decoded(): unknown {
    const parsed: unknown = JSON.parse(this.#text);
    return this.encoding === "json" ? parsed : revive(parsed);
  }
}

const encodedVoid = new EncodedVoid();

/**
 * Encodes a value for recording. Throws SerializationError for what cannot be;
 * `what` names the value there.
 */
export function encode(value: unknown, what: string): Encoded {
  if (value === undefined) return encodedVoid;
  // Copied, so that later writes by user code do not reach what is sent.
  if (types.isUint8Array(value)) return new EncodedBytes(new Uint8Array(value));
  const { value: json, tagged } = toJsonValue(value, what);
  return new EncodedJson(JSON.stringify(json), tagged ? "json+pawl" : "json");
}

/** The arguments of a step. */
export interface EncodedArguments {
  /** The list, as it was when it was encoded. */
  readonly all: Encoded;
  readonly digest: string;
  /** For people: where there is one argument, that one. */
  readonly shown: Encoded;
}

export function encodeArguments(args: readonly unknown[], what: string): EncodedArguments {
  const { value, tagged } = toJsonValue(args, what);
  const encoding = tagged ? "json+pawl" : "json";
  const all = new EncodedJson(JSON.stringify(value), encoding);
  const [only] = args;
  const isJson = only !== undefined && !types.isUint8Array(only);
  const shown = args.length === 1 && Array.isArray(value) && isJson ? JSON.stringify(value[0]) : "";
  return {
    all,
    digest: hash("sha256", canonical(value), "hex"),
    shown:
      shown !== ""
        ? new EncodedJson(shown, encoding)
        : args.length === 1
          ? encode(only, what)
          : all,
  };
}

/** The value as a replay would see it, which nobody else holds. */
export function snapshot(value: unknown, what: string): unknown {
  return typeof value === "object" && value !== null ? encode(value, what).decoded() : value;
}

/** The parts of an encoded value that travel. */
export function payloadOf(encoded: Encoded): PayloadInit {
  return { data: encoded.data, encoding: encoded.encoding };
}

/** Decodes a payload whose data is here; an absent one is `undefined`. */
export function decode(payload: ReceivedPayload | undefined): unknown {
  if (payload === undefined) return undefined;
  switch (payload.encoding) {
    case "void":
      return undefined;
    case "bytes":
      return new Uint8Array(payload.data);
    case "":
    case "json":
    case "json+pawl": {
      const { buffer, byteOffset, byteLength } = payload.data;
      const text = Buffer.from(buffer, byteOffset, byteLength).toString("utf8");
      let parsed: unknown = JSON.parse(text);
      if (/\\u[dD]/.test(text)) parsed = mendTexts(parsed);
      return payload.encoding === "json+pawl" ? revive(parsed) : parsed;
    }
    default:
      throw new TerminalError(
        `a recorded value has the encoding "${payload.encoding}", which this SDK version does not know; upgrade @pawl/worker`,
      );
  }
}

function canonical(value: unknown): string {
  if (typeof value !== "object" || value === null) return JSON.stringify(value);
  if (Array.isArray(value)) return `[${value.map(canonical).join(",")}]`;
  const members = Object.entries(value)
    .sort(([a], [b]) => (a < b ? -1 : 1))
    .map(([key, item]) => `${JSON.stringify(key)}:${canonical(item)}`);
  return `{${members.join(",")}}`;
}

/**
 * Hex SHA-256 of a value's canonical form: the same for equal values, whatever
 * the order of their keys.
 */
export function digest(value: unknown, what: string): string {
  return hash("sha256", canonical(toJsonValue(value, what).value), "hex");
}

/** Hex SHA-256 of a text. */
export function digestText(text: string): string {
  return hash("sha256", text, "hex");
}
