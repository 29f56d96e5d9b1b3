import { runInNewContext } from "node:vm";
import { describe, expect, test } from "vitest";
import { SerializationError } from "../src/index.ts";
import { decode, digest, encode, revive } from "../src/internal.ts";

function roundTrip(value: unknown): unknown {
  return decode(encode(value, "the value"));
}

const cases: [string, unknown, string][] = [
  ["null", null, "json"],
  ["false", false, "json"],
  ["zero", 0, "json"],
  ["empty text", "", "json"],
  ["empty list", [], "json"],
  ["empty object", {}, "json"],
  ["nested", { a: [1, "x", { b: null }] }, "json"],
  ["__proto__ as a key", JSON.parse('{"__proto__": {"a": 1}}'), "json"],
  ["date", new Date("2026-01-31T12:00:00.123Z"), "json+pawl"],
  ["dates inside", { at: [new Date(0)] }, "json+pawl"],
  ["bigint", 12345678901234567890n, "json+pawl"],
  [
    "NaN and infinities",
    [Number.NaN, Number.POSITIVE_INFINITY, Number.NEGATIVE_INFINITY],
    "json+pawl",
  ],
  [
    "map",
    new Map<unknown, unknown>([
      ["a", 1],
      [{ k: 1 }, new Date(1)],
    ]),
    "json+pawl",
  ],
  ["set", new Set([1, "a", new Set([2])]), "json+pawl"],
  ["undefined in an object", { a: undefined, b: 1 }, "json+pawl"],
  ["undefined in a list", [undefined, 1], "json+pawl"],
  ["bytes inside", { data: new Uint8Array([0, 255, 7]) }, "json+pawl"],
  ["something that looks like a tag", { $pawl: "date", value: "x" }, "json"],
  [
    "the same next to a real one",
    { fake: { $pawl: "date", value: "x" }, real: new Date(5) },
    "json+pawl",
  ],
  [
    "__proto__ beside a tag",
    { $pawl: 1, at: new Date(5), inner: JSON.parse('{"__proto__": 1}') },
    "json+pawl",
  ],
];

describe("codec", () => {
  test.each(cases)("%s survives", (_name, value, encoding) => {
    const encoded = encode(value, "the value");
    expect(encoded.encoding).toBe(encoding);
    expect(roundTrip(value)).toStrictEqual(value);
    // What the first run sees is what a replay sees.
    expect(encoded.decoded()).toStrictEqual(roundTrip(value));
  });

  test("undefined is no value at all, and not null", () => {
    expect(encode(undefined, "it").encoding).toBe("void");
    expect(roundTrip(undefined)).toBeUndefined();
  });

  test("bytes travel as they are, also none, and are copied", () => {
    const bytes = new Uint8Array([1, 2, 3]);
    const encoded = encode(bytes, "it");
    bytes[0] = 9;
    expect(encoded.encoding).toBe("bytes");
    expect(encoded.decoded()).toStrictEqual(new Uint8Array([1, 2, 3]));
    expect(roundTrip(new Uint8Array(0))).toStrictEqual(new Uint8Array(0));
    expect(roundTrip(Buffer.from("hi"))).toStrictEqual(new Uint8Array([104, 105]));
  });

  test("-0 stays -0, in and outside of objects", () => {
    expect(Object.is(roundTrip(-0), -0)).toBe(true);
    expect(Object.is((roundTrip({ a: -0 }) as { a: number }).a, -0)).toBe(true);
  });

  test("an error keeps name, message and cause", () => {
    const error = roundTrip(new RangeError("far", { cause: new Error("why") })) as Error;
    expect(error).toBeInstanceOf(Error);
    expect([error.name, error.message]).toEqual(["RangeError", "far"]);
    expect((error.cause as Error).message).toBe("why");
  });

  test("a date that is none stays one", () => {
    expect(Number.isNaN((roundTrip([new Date(Number.NaN)]) as Date[])[0]?.getTime())).toBe(true);
  });

  class Account {
    balance = 1;
  }
  const cycle: { self?: unknown } = {};
  cycle.self = { cycle };
  test.each([
    ["a function", { a: { b: () => 1 } }, ".a.b", "function"],
    ["a symbol", [Symbol("s")], "[0]", "symbol"],
    ["a class instance", { list: [new Account()] }, ".list[0]", "Account"],
    ["a promise", { p: Promise.resolve(1) }, ".p", "await"],
    ["a typed array", { "odd key": new Float32Array(1) }, '["odd key"]', "Uint8Array"],
    ["a symbol key", { a: { [Symbol("s")]: 1 } }, ".a", "symbol"],
    ["a map's value", { m: new Map([["k", () => 1]]) }, ".m<value 0>", "function"],
    ["a cycle", cycle, "", "refers to itself"],
  ])("%s is refused with its place", (_name, value, path, problem) => {
    const attempt = () => encode(value, "the result");
    expect(attempt).toThrow(SerializationError);
    try {
      attempt();
    } catch (error) {
      expect((error as SerializationError).path).toBe(path);
      expect((error as Error).message).toContain(problem);
      expect((error as Error).message).toContain("the result");
    }
  });

  test("digests depend on the content, not on the order of keys", () => {
    expect(digest({ a: 1, b: [2] }, "x")).toBe(digest({ b: [2], a: 1 }, "x"));
    expect(digest({ a: 1 }, "x")).not.toBe(digest({ a: "1" }, "x"));
    expect(digest({ a: undefined }, "x")).not.toBe(digest({}, "x"));
    expect(digest(1n, "x")).not.toBe(digest(1, "x"));
    expect(digest([1], "x")).toMatch(/^[0-9a-f]{64}$/);
  });

  test("what other languages write is handed out as they wrote it", () => {
    const value = [
      { $pawl: "decimal", value: "1.50" },
      { $pawl: "uuid", value: "0193-7" },
      { $pawl: "duration", value: 1500 },
      { $pawl: "local-date", value: "2026-01-31" },
    ];
    expect(revive(value)).toEqual(["1.50", "0193-7", 1500, "2026-01-31"]);
  });

  test("unknown tags and encodings are told, not guessed", () => {
    expect(() => revive({ $pawl: "matrix", value: 1 })).toThrow(/upgrade/);
    expect(() => decode({ data: new Uint8Array(0), encoding: "cbor" })).toThrow(/cbor/);
  });

  test("random values survive", () => {
    let seed = Date.now() % 100_000;
    console.log(`codec seed ${seed}`);
    const next = (below: number) => {
      seed = (seed * 1103515245 + 12345) % 2147483648;
      return seed % below;
    };
    const make = (depth: number): unknown => {
      switch (next(depth > 3 ? 8 : 12)) {
        case 0:
          return null;
        case 1:
          return next(2) === 0;
        case 2:
          return next(1000) / 7;
        case 3:
          return String.fromCharCode(next(65536), next(65536));
        case 4:
          return undefined;
        case 5:
          return BigInt(next(1_000_000));
        case 6:
          return new Date(next(1_000_000_000));
        case 7:
          return new Uint8Array([next(256), next(256)]);
        case 8:
          return Array.from({ length: next(4) }, () => make(depth + 1));
        case 9:
          return new Map([[make(depth + 1), make(depth + 1)]]);
        case 10:
          return new Set([make(depth + 1)]);
        default:
          return {
            [["a", "$pawl", "value", "__x"][next(4)] ?? ""]: make(depth + 1),
            b: make(depth + 1),
          };
      }
    };
    for (let i = 0; i < 500; i += 1) {
      const value = make(0);
      expect(roundTrip(value)).toStrictEqual(value);
    }
  });

  test("half of a surrogate pair is U+FFFD, wherever it is, and NUL is kept", () => {
    const value = { "\ud800": ["x\udc00", new Map([["\ud800", "a\0b"]])], b: "\ud83d\ude00" };
    expect(roundTrip(value)).toStrictEqual({
      "\ufffd": ["x\ufffd", new Map([["\ufffd", "a\0b"]])],
      b: "\u{1f600}",
    });
    expect(roundTrip("\ud800x")).toBe("\ufffdx");
    // As others may have written it.
    const data = Buffer.from(
      '{"a\\ud800":["\\uDC00",{"$pawl":"map","value":[["\\ud83d\\ude00",1]]}]}',
    );
    expect(decode({ data, encoding: "json" })).toMatchObject({ "a\ufffd": ["\ufffd", {}] });
    expect(decode({ data, encoding: "json+pawl" })).toStrictEqual({
      "a\ufffd": ["\ufffd", new Map([["\u{1f600}", 1]])],
    });
  });

  test("each property is read once, and toJSON has no say", () => {
    let reads = 0;
    const value = {
      get a() {
        reads += 1;
        return reads === 1 ? "text" : new Date(0);
      },
    };
    expect(roundTrip(value)).toStrictEqual({ a: "text" });
    expect(reads).toBe(1);
    expect(roundTrip(Object.assign([1, 2], { toJSON: () => "gone" }))).toStrictEqual([1, 2]);
  });

  test("values of another realm are what they are here", () => {
    const foreign: unknown = runInNewContext(
      "({ a: [1, new Date(5), new Map([[1, new Set([2])]]), new Uint8Array([3]), 7n] })",
    );
    expect(roundTrip(foreign)).toStrictEqual({
      a: [1, new Date(5), new Map([[1, new Set([2])]]), new Uint8Array([3]), 7n],
    });
    expect(roundTrip(runInNewContext("new Uint8Array([3])"))).toStrictEqual(new Uint8Array([3]));
    expect(roundTrip(runInNewContext("Object.create(null)"))).toStrictEqual({});
    const error: unknown = roundTrip(runInNewContext("new RangeError('far')"));
    expect(error).toMatchObject({ name: "RangeError", message: "far" });
    expect(() => roundTrip(runInNewContext("new (class Own {})()"))).toThrow("instance of Own");
  });

  test("what cannot be read is refused with its place", () => {
    const { proxy, revoke } = Proxy.revocable({}, {});
    revoke();
    for (const [value, place] of [
      [
        {
          a: [
            {
              get b() {
                throw new Error("no");
              },
            },
          ],
        },
        ".a[0].b cannot be read: no",
      ],
      [[proxy], "[0] cannot be read"],
      [
        new Proxy(
          {},
          {
            ownKeys: () => {
              throw new Error("keys");
            },
          },
        ),
        "it cannot be read: keys",
      ],
    ] as const) {
      expect(() => encode(value, "it")).toThrow(SerializationError);
      expect(() => encode(value, "it")).toThrow(place);
    }
  });
});
