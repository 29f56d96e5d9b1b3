/** Values at the edges of what can be recorded, as expressions of the conformance language. */
import type { Random } from "../chaos/random.ts";

const EDGES: readonly unknown[] = [
  null,
  true,
  false,
  0,
  1,
  -1,
  0.1,
  1.5e300,
  5e-324,
  2 ** 53 - 1,
  -(2 ** 53) + 1,
  1e21,
  "",
  " ",
  "a\u0000b",
  "\ud800 alone",
  "alone \udfff",
  "\u{1f600} é ﷽ \u2028",
  "</script>\"'\\",
  "__proto__",
  [],
  {},
  [[]],
  [null],
  { "": null },
  { $pawl: "date", value: "2026-01-31T12:00:00.000Z" },
  { constructor: 1, toString: null },
  { "a\u0000b": "\ud83d" },
  { $bytes: "" },
  { $bytes: "AP+A" },
  { $bytes: Buffer.from(Array.from({ length: 256 }, (_, i) => i)).toString("base64") },
  { $date: "2026-01-31T12:00:00.123Z" },
  { $date: "0001-01-01T00:00:00.000Z" },
  { $date: "9999-12-31T23:59:59.999Z" },
  { $bigint: "9007199254740993" },
  { $bigint: "-123456789012345678901234567890" },
  { $void: true },
];

/** An expression; what it stands for is the same in all languages. */
export function randomValue(random: Random, depth = 2): unknown {
  if (depth > 0 && random.chance(0.2)) {
    const items = Array.from({ length: random.int(0, 3) }, () => randomValue(random, depth - 1));
    return random.chance(0.5)
      ? items.map(withoutVoid)
      : Object.fromEntries(items.map((item, i) => [`k${i}`, withoutVoid(item)]));
  }
  if (random.chance(0.03)) return deep(random.int(20, 60));
  if (random.chance(0.03)) return "x".repeat(random.int(60_000, 70_000));
  if (random.chance(0.3)) return random.int(-1_000, 1_000);
  return random.pick(EDGES);
}

/** Languages differ in what is nothing inside of a list or among arguments. */
export function withoutVoid(value: unknown): unknown {
  return typeof value === "object" && value !== null && "$void" in value ? null : value;
}

function deep(levels: number): unknown {
  let value: unknown = "deep";
  for (let i = 0; i < levels; i += 1) value = i % 2 === 0 ? [value] : { d: value };
  return value;
}

/** As code gets a text: lone surrogates cannot be recorded. */
export function wellFormed(value: unknown): unknown {
  if (typeof value === "string") return value.toWellFormed();
  if (Array.isArray(value)) return value.map(wellFormed);
  if (typeof value !== "object" || value === null) return value;
  return Object.fromEntries(
    Object.entries(value).map(([key, one]) => [key.toWellFormed(), wellFormed(one)]),
  );
}
