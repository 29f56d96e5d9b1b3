/** Odd messages of the contract, from its descriptors: what a careless or hostile client may send. */
import {
  create,
  type DescEnum,
  type DescField,
  type DescMessage,
  type JsonObject,
  type JsonValue,
  type Message,
  ScalarType,
  toBinary,
} from "@bufbuild/protobuf";
import { reflect } from "@bufbuild/protobuf/reflect";
import type { Random } from "../chaos/random.ts";

/** Names that lead somewhere, so that not all requests end at the first look. */
export type Known = Readonly<Record<string, readonly string[]>>;

const TEXTS = [
  "",
  "a",
  ".",
  "..",
  "a\0b",
  "😀",
  "\ud83d",
  "￿",
  "x".repeat(300),
  "x".repeat(70_000),
  "{a",
  "{a.b}",
  "#",
  "%",
  "a#b",
  "../../etc/passwd",
  "' OR 1=1 --",
  "\r\nx: y",
  "__proto__",
  "constructor",
  "61 * * * *",
  "Nowhere/City",
  "json",
  "json+pawl",
  "void",
  "bytes",
  '{"type":"object"}',
  '{"pattern":"^(a+)+$"}',
  '{"$async":true}',
  '{"$ref":"https://example.com/x"}',
];

const NUMBERS = [0, 1, -1, 2, 3, 1_000, 2 ** 31 - 1, -(2 ** 31), 2 ** 32 - 1, 2 ** 53, 0.5];
const LARGE = [0n, 1n, -1n, 2n ** 31n, 2n ** 53n, 2n ** 63n - 1n, -(2n ** 63n), 253_402_300_800n];

const JSONS = [
  "1",
  "true",
  "null",
  '"text"',
  '{"a":1}',
  "[1,2]",
  "",
  "{",
  '"\\ud800"',
  `${"[".repeat(500)}${"]".repeat(500)}`,
  `${"[".repeat(30_000)}${"]".repeat(30_000)}`,
  `"${"a".repeat(100_000)}"`,
  '{"$pawl":"date","value":"never"}',
];

const DEPTH_MAX = 5;

export class Values {
  readonly #random: Random;
  readonly #known: Known;

  constructor(random: Random, known: Known) {
    this.#random = random;
    this.#known = known;
  }

  /** As bytes, some of them broken. */
  bytes(schema: DescMessage): Uint8Array {
    const bytes = this.#encoded(schema);
    return this.#random.chance(0.25) ? this.mutated(bytes) : bytes;
  }

  #encoded(schema: DescMessage): Uint8Array {
    for (;;) {
      try {
        return toBinary(schema, this.message(schema));
      } catch {
        // Half a character cannot be said in binary; JSON says it.
      }
    }
  }

  /** A body that is JSON, or nearly. */
  body(): Uint8Array {
    const text = this.#random.chance(0.5)
      ? JSON.stringify(this.anything())
      : this.#random.pick(JSONS);
    const bytes = Buffer.from(text);
    return this.#random.chance(0.2) ? this.mutated(bytes) : bytes;
  }

  mutated(bytes: Uint8Array): Uint8Array {
    const random = this.#random;
    let out = Buffer.from(bytes);
    for (let i = random.int(1, 3); i > 0; i -= 1) {
      const at = random.int(0, Math.max(0, out.length - 1));
      switch (random.int(0, 4)) {
        case 0:
          out = out.subarray(0, at);
          break;
        case 1:
          if (out.length > 0) out[at] = random.int(0, 255);
          break;
        case 2:
          out = Buffer.concat([out, out]);
          break;
        case 3:
          // A field that nobody knows.
          out = Buffer.concat([out, Buffer.from([0xfa, 0x3f, 2, 0xff, 0xfe])]);
          break;
        default:
          out = Buffer.concat([
            out.subarray(0, at),
            Buffer.from([random.int(0, 255)]),
            out.subarray(at),
          ]);
      }
    }
    return out;
  }

  message(schema: DescMessage, depth = 0): Message {
    const message = reflect(schema, create(schema), false);
    for (const field of schema.fields) {
      if (!this.#random.chance(depth > DEPTH_MAX ? 0 : 0.6)) continue;
      switch (field.fieldKind) {
        case "list":
          for (let i = this.#length(); i > 0; i -= 1)
            message.get(field).add(this.#item(field, depth));
          break;
        case "map":
          for (let i = this.#length(); i > 0; i -= 1)
            message.get(field).set(this.#text(""), this.#item(field, depth));
          break;
        default:
          message.set(field, this.#item(field, depth));
      }
    }
    return message.message;
  }

  #length(): number {
    return this.#random.chance(0.02) ? 300 : this.#random.int(0, 3);
  }

  #item(field: DescField, depth: number) {
    if (field.message !== undefined)
      return reflect(field.message, this.message(field.message, depth + 1), false);
    if (field.enum !== undefined) return this.#enum(field.enum);
    return this.#scalar(field.name, field.scalar);
  }

  #enum(of: DescEnum): number {
    if (this.#random.chance(0.1)) return this.#random.pick([99, -1, 2 ** 31 - 1]);
    return this.#random.pick(of.values).number;
  }

  #text(name: string): string {
    const known = this.#known[name];
    if (known !== undefined && this.#random.chance(0.7)) return this.#random.pick(known);
    return this.#random.pick(TEXTS);
  }

  #scalar(name: string, type: ScalarType | undefined) {
    const random = this.#random;
    switch (type) {
      case ScalarType.STRING:
        return this.#text(name);
      case ScalarType.BOOL:
        return random.chance(0.5);
      case ScalarType.BYTES:
        return Buffer.from(random.pick(JSONS));
      case ScalarType.DOUBLE:
      case ScalarType.FLOAT:
        return random.pick([...NUMBERS, Number.NaN, Number.POSITIVE_INFINITY, -1e300]);
      case ScalarType.INT64:
      case ScalarType.SINT64:
      case ScalarType.SFIXED64:
        return random.pick(LARGE);
      case ScalarType.UINT64:
      case ScalarType.FIXED64:
        return random.pick(LARGE.filter((one) => one >= 0n));
      case ScalarType.UINT32:
      case ScalarType.FIXED32:
        return Number(random.pick<string | number>(this.#known[name] ?? NUMBERS.filter(isUint)));
      default:
        return random.pick(
          NUMBERS.filter((one) => Number.isInteger(one) && Math.abs(one) < 2 ** 31),
        );
    }
  }

  /** As JSON of a message, with values of all types everywhere. */
  json(schema: DescMessage, depth = 0): JsonObject {
    const out: JsonObject = {};
    for (const field of schema.fields) {
      if (!this.#random.chance(depth > DEPTH_MAX ? 0 : 0.5)) continue;
      out[field.jsonName] = this.#jsonField(field, depth);
    }
    if (this.#random.chance(0.03)) out.unknown = 1;
    return out;
  }

  #jsonField(field: DescField, depth: number): JsonValue {
    const item = (): JsonValue => {
      if (this.#random.chance(0.1)) return this.anything();
      if (field.message !== undefined) {
        if (field.message.typeName.startsWith("google.protobuf."))
          return this.#random.pick([
            "1s",
            "-1s",
            "1e3s",
            "99999999999999s",
            "2026-01-01T00:00:00Z",
          ]);
        return this.json(field.message, depth + 1);
      }
      if (field.enum !== undefined)
        return this.#random.pick([...field.enum.values.map(({ name }) => name), "NONE", 99]);
      const value = this.#scalar(field.name, field.scalar);
      if (value instanceof Uint8Array) return Buffer.from(value).toString("base64");
      return typeof value === "bigint" || Number.isNaN(value) ? String(value) : value;
    };
    if (field.fieldKind === "list") return Array.from({ length: this.#length() }, item);
    if (field.fieldKind === "map") return { [this.#text("").toWellFormed()]: item() };
    return item();
  }

  anything(): JsonValue {
    return this.#random.pick<JsonValue>([
      ...[null, true, 0, -1, 1.5, 1e300, "", "text", [], {}, [[]], { a: null }],
      "x".repeat(5_000),
      JSON.parse(`${"[".repeat(1_000)}${"]".repeat(1_000)}`),
    ]);
  }

  text(name: string): string {
    return this.#text(name);
  }
}

function isUint(value: number): boolean {
  return Number.isInteger(value) && value >= 0 && value < 2 ** 32;
}
