/** Values that user code could throw, yield, return or pass, and that are hard to read. */
import { runInNewContext } from "node:vm";
import { RetryableError, TerminalError } from "../../src/index.ts";

function fail(what: string): never {
  throw new Error(`reading ${what} fails`);
}

function revoked(): object {
  const { proxy, revoke } = Proxy.revocable({}, {});
  revoke();
  return proxy;
}

/** Throws whatever is done with it. */
function wall(): object {
  const trap = () => fail("it");
  return new Proxy({}, new Proxy({}, { get: () => trap }));
}

function withGetter(error: object, ...keys: string[]): object {
  for (const key of keys) Object.defineProperty(error, key, { get: () => fail(key) });
  return error;
}

function cycle(): object {
  const value: Record<string, unknown> = Object.assign(Object.create(null), { big: 1n });
  value.self = value;
  return value;
}

function causes(): Error {
  const error = new Error("outer", { cause: new Error("inner") });
  (error.cause as Error).cause = error;
  return error;
}

function deep(levels: number): unknown {
  let value: unknown = "end";
  for (let i = 0; i < levels; i += 1) value = [value];
  return value;
}

class Own {
  readonly a = 1;
}

const retryAfters: readonly unknown[] = [
  "soon",
  "120",
  "Wed, 21 Oct 2015 07:28:00 GMT",
  Number.NaN,
  -1,
  Number.POSITIVE_INFINITY,
  "30 years",
  "11000 days",
  Symbol("s"),
  {},
  null,
];

/** Each call makes a new one. */
export const hostile: Readonly<Record<string, () => unknown>> = {
  undefined: () => undefined,
  null: () => null,
  NaN: () => Number.NaN,
  "-0": () => -0,
  bigint: () => 12n,
  symbol: () => Symbol("s"),
  function: () => () => 1,
  "empty text": () => "",
  "half of a pair": () => "a\ud83d",
  NUL: () => "a\0b",
  "invalid date": () => new Date(Number.NaN),
  map: () => new Map<unknown, unknown>([[{ a: 1 }, new Set([undefined])]]),
  bytes: () => new Uint8Array([0, 255]),
  "array buffer": () => new ArrayBuffer(3),
  "sparse list": () => new Array(3),
  cycle,
  "null prototype": () => Object.assign(Object.create(null), { a: 1 }),
  "a lookalike of a tag": () => ({ $pawl: "date", value: new Date(5) }),
  __proto__: () => JSON.parse('{"__proto__": {"a": 1}}') as unknown,
  getter: () => ({
    get a() {
      return fail("a");
    },
  }),
  toJSON: () => ({ toJSON: () => fail("toJSON"), toString: () => fail("toString") }),
  "toJSON of a list": () => Object.assign([1], { toJSON: () => "gone" }),
  "revoked proxy": revoked,
  wall,
  instance: () => new Own(),
  "nested deeply": () => deep(400),
  "nested too deeply": () => deep(600),
  "of another realm": () => runInNewContext("({ a: [new Date(1), new Map([[1, 2]])] })") as unknown,
  "an error of another realm": () => runInNewContext("new RangeError('far')") as unknown,
  "then fails": () => ({
    // biome-ignore lint/suspicious/noThenProperty: that is what is tried
    get then() {
      return fail("then");
    },
  }),
  // biome-ignore lint/suspicious/noThenProperty: that is what is tried
  thenable: () => ({ then: (resolve: (value: number) => void) => resolve(5) }),
  // biome-ignore lint/suspicious/noThenProperty: that is what is tried
  "thenable that fails": () => ({ then: () => fail("it") }),
  "iterator fails": () => ({ [Symbol.asyncIterator]: () => fail("iterator") }),
  "iterator of nothing": () => ({ [Symbol.asyncIterator]: () => undefined }),
  error: () => new TypeError("plain"),
  "error without message": () => new Error(""),
  "message undefined": () => Object.assign(new Error("x"), { message: undefined }),
  "message an object": () => Object.assign(new Error("x"), { message: { a: 1n } }),
  "getters of an error": () =>
    withGetter(new Error("x"), "message", "stack", "cause", "details", "nonRetryable", "name"),
  "error without constructor": () => Object.assign(new Error("x"), { constructor: undefined }),
  "error without prototype": () => Object.setPrototypeOf(new Error("x"), null) as unknown,
  "proxy of an error": () => new Proxy(new Error("x"), { get: () => fail("it") }),
  "causes in a circle": causes,
  "cause is a wall": () => new Error("x", { cause: wall() }),
  "details cannot be recorded": () => new TerminalError("x", { details: { f: () => 1 } }),
  "details are a wall": () => new TerminalError("x", { details: wall() }),
  "a long message": () => new Error("é".repeat(20_000)),
  "a message cut in the middle": () => new Error("\u{1f600}".repeat(4_000).slice(1)),
  ...Object.fromEntries(
    retryAfters.map((retryAfter) => [
      `retryAfter ${String(retryAfter)}`,
      () => Object.assign(new RetryableError("busy"), { retryAfter }),
    ]),
  ),
};
