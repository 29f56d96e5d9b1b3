/** Goal: steps of a pipeline whose schemas disagree anywhere are refused when it is defined. */
import { describe, expect, test } from "vitest";
import { z } from "zod";
import { pipeline, step, UsageError } from "../src/index.ts";

/** Without the compiler, which knows the functions' types. */
function define(output: z.ZodType, input: z.ZodType): void {
  const first = step("o", { output }, (): never => {
    throw new Error("never called");
  });
  pipeline("p", [first, step("i", { input }, (x: never) => x)]);
}

const n = z.object({ b: z.number() });
const s = z.object({ b: z.string() });

describe("schemas that follow each other", () => {
  test.each<[string, z.ZodType, z.ZodType, RegExp]>([
    ["types", z.number(), z.string(), /makes number, where string is wanted/],
    ["nested types", z.object({ a: n }), z.object({ a: s }), /its "a.b" is number/],
    ["items", z.array(z.string()), z.array(z.number()), /its "\[\]" is string/],
    [
      "nested items",
      z.object({ l: z.array(n) }),
      z.object({ l: z.array(s) }),
      /"l\[\].b" is number/,
    ],
    [
      "places of tuples",
      z.tuple([z.string(), z.number()]),
      z.tuple([z.string(), z.string()]),
      /its "\[1\]" is number/,
    ],
    [
      "values of records",
      z.record(z.string(), n),
      z.record(z.string(), s),
      /its "\{\}.b" is number/,
    ],
    ["values", z.enum(["a", "b"]), z.enum(["a", "c"]), /may make "b", where "a" or "c" is wanted/],
    ["one of several types", z.union([z.string(), z.number()]), z.string(), /number/],
    ["one of several objects", z.union([n, s]), s, /its "b" is number/],
    ["null", z.string().nullable(), z.string(), /null, where string/],
    ["missing properties", z.object({}), n, /makes no "b"/],
    ["properties that may be left out", n.partial(), n, /may leave out "b"/],
    [
      "what a transform turns out",
      z.string().transform(Number).pipe(z.number()),
      z.string(),
      /number/,
    ],
  ])("%s do not fit", (_what, output, input, message) => {
    expect(() => define(output, input)).toThrow(UsageError);
    expect(() => define(output, input)).toThrow(message);
  });

  test.each<[string, z.ZodType, z.ZodType]>([
    ["fewer values", z.enum(["a", "b"]), z.enum(["a", "b", "c"])],
    ["a value and its type", z.literal(3), z.number()],
    ["equal ones", z.object({ a: n, l: z.array(s) }), z.object({ a: n, l: z.array(s) })],
    ["integers and numbers", z.int(), z.number()],
    ["more than is wanted", n.extend({ c: z.string() }), n],
    ["less than is taken", z.string(), z.union([z.string(), z.null()])],
    ["several that all fit", z.union([n, n.extend({ c: z.string() })]), n],
    ["a default", n, n.extend({ c: z.string().default("x") })],
    ["what is not known", z.unknown(), n],
    ["what refers to itself", z.lazy(() => n), s.or(n)],
  ])("%s fit", (_what, output, input) => {
    define(output, input);
  });
});
