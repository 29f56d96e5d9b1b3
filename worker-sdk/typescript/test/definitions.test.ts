import { describe, expect, test } from "vitest";
import { z } from "zod";
import {
  constant,
  delays,
  exponential,
  linear,
  step,
  UsageError,
  Worker,
  workflow,
} from "../src/index.ts";
import {
  childRunId,
  declaredProperties,
  durationFromMs,
  durationMs,
  grpcTarget,
  msFrom,
  parseTemplate,
  policyDelayMs,
  resolveRetry,
  retryMessage,
} from "../src/internal.ts";

describe("durations", () => {
  test.each([
    [1500, 1_500],
    ["250ms", 250],
    ["1 day", 86_400_000],
    ["2 days", 172_800_000],
    ["1h 30m", 5_400_000],
    ["1.5 s", 1_500],
    ["1 week", 604_800_000],
    [{ minutes: 1, seconds: 2 }, 62_000],
  ])("%j is %d ms", (duration, ms) => {
    expect(durationMs(duration)).toBe(ms);
    expect(msFrom(durationFromMs(ms))).toBe(ms);
  });

  test.each(["", "soon", "5", "5 parsecs", "1 day later", -1, Number.NaN])(
    "%j is refused",
    (duration) => {
      expect(() => durationMs(duration)).toThrow(UsageError);
    },
  );
});

describe("backoff", () => {
  function series(policy: Parameters<typeof resolveRetry>[0], count: number): number[] {
    const message = retryMessage(resolveRetry(policy));
    return Array.from({ length: count }, (_, i) => policyDelayMs(message, i + 1) / 1_000);
  }

  test("the documented delays, in seconds", () => {
    expect(series({ backoff: exponential({ base: 2, max: 60 }) }, 7)).toEqual([
      2, 4, 8, 16, 32, 60, 60,
    ]);
    expect(series({ backoff: linear({ start: 2, step: 3 }) }, 3)).toEqual([2, 5, 8]);
    expect(series({ backoff: constant(5) }, 2)).toEqual([5, 5]);
    expect(series({ backoff: delays(["1 s", 250]) }, 3)).toEqual([1, 0.25, 0.25]);
    expect(series({ backoff: ["1 s", "3 s"] }, 3)).toEqual([1, 3, 3]);
    expect(series({ maxAttempts: 4, backoff: (n) => n * 10 }, 4)).toEqual([10, 20, 30, 30]);
    expect(series(5, 2)).toEqual([2, 4]);
  });

  test("maxAttempts counts the first attempt, and nonsense is refused", () => {
    expect(resolveRetry(3).maxAttempts).toBe(3);
    expect(() => resolveRetry(0)).toThrow(/first attempt/);
    expect(() => resolveRetry({ jitter: 2 })).toThrow(/jitter/);
    expect(() => resolveRetry({ retries: 3 } as never)).toThrow(/maxAttempts/);
  });
});

describe("run id templates", () => {
  test("values are filled in and escaped", () => {
    const template = parseTemplate("order-{orderId}", undefined);
    expect(template.render({ orderId: "A1" })).toBe("order-A1");
    expect(template.render({ orderId: 42 })).toBe("order-42");
    expect(template.render({ orderId: "a/b c%é" })).toBe("order-a%2Fb%20c%25%C3%A9");
    expect(template.render({ orderId: "0191d0a0-0000-7000" })).toBe("order-0191d0a0-0000-7000");
  });

  test("no argument can forge another's id", () => {
    const template = parseTemplate("{shop}-{order}", undefined);
    const ids = [
      { shop: "a-b", order: "c" },
      { shop: "a", order: "b-c" },
      { shop: "a%2Db", order: "c" },
    ].map((input) => template.render(input));
    expect(new Set(ids).size).toBe(3);
  });

  test("only the input's own plain values count", () => {
    const template = parseTemplate("x-{a}", undefined);
    for (const input of [
      {},
      { a: { b: 1 } },
      { a: "" },
      { a: null },
      null,
      Object.create({ a: 1 }),
    ]) {
      expect(() => template.render(input)).toThrow(/"a"/);
    }
  });

  test("bad templates are refused when they are defined", () => {
    expect(() => parseTemplate("order", undefined)).toThrow(/no variable/);
    expect(() => parseTemplate("{a}{b}", undefined)).toThrow(/next to each other/);
    expect(() => parseTemplate("order {a}", undefined)).toThrow(/order /);
    expect(() => parseTemplate("order-{oderId}", ["orderId"])).toThrow(/oderId/);
    const order = z.object({ orderId: z.string() });
    // @ts-expect-error the input has no oderId
    const wrong = () => workflow("o", { input: order, id: "order-{oderId}" }, async () => 1);
    expect(wrong).toThrow(/oderId/);
  });
});

describe("workflows and steps", () => {
  test("names default to the function's, and are asked for where there is none", () => {
    async function research() {
      return 1;
    }
    expect(workflow(research).workflowName).toBe("research");
    expect(workflow({ description: "d" }, research).workflowName).toBe("research");
    expect(workflow({ name: "other" }, research).workflowName).toBe("other");
    expect(step(research).stepName).toBe("research");
    expect(() => workflow(async () => 1)).toThrow(/workflow\("name"/);
    expect(() => step(() => 1)).toThrow(/step\("name"/);
  });

  test("a first parameter that is not ctx is refused, naming the workflow", () => {
    expect(() => workflow("w", async ({ runId }) => runId)).toThrow(/workflow "w".*ctx/);
  });

  test("unknown options are refused", () => {
    expect(() => workflow("w", { retires: 3 } as never, async () => 1)).toThrow(/retires/);
    expect(() => step("s", { timout: 3 } as never, () => 1)).toThrow(/timout/);
    expect(
      () => new Worker({ workflows: [workflow("w", async () => 1)], slot: 3 } as never),
    ).toThrow(/slot/);
  });

  test("two workflows of one name are refused, naming both places", () => {
    const a = workflow("same", async () => 1);
    const b = workflow("same", async () => 2);
    const error = (() => {
      try {
        new Worker({ workflows: [a, b], url: "127.0.0.1:1" });
      } catch (thrown) {
        return String(thrown);
      }
      return "";
    })();
    expect(error.match(/definitions\.test\.ts:\d+:\d+/g)?.length).toBe(2);
    expect(() => new Worker({ workflows: [] })).toThrow(/at least one/);
  });

  test("JSON Schemas come from the schema's library", () => {
    const definition = workflow(
      "w",
      { input: z.object({ n: z.number() }), output: z.string() },
      async () => "x",
    );
    expect(definition.inputJsonSchema).toMatchObject({ type: "object", required: ["n"] });
    expect(definition.outputJsonSchema).toMatchObject({ type: "string" });
    expect(declaredProperties(definition.inputJsonSchema)).toEqual(["n"]);
    const odd = workflow(
      "w",
      { input: z.object({ d: z.date() }), inputSchema: { type: "object" } },
      async () => 1,
    );
    expect(odd.inputJsonSchema).toEqual({ type: "object" });
    expect(
      workflow("w", { input: z.map(z.string(), z.date()) }, async () => 1).inputJsonSchema,
    ).toBeUndefined();
  });
});

test("child run ids are derived, allowed, and never collide", () => {
  expect(childRunId("p", "child:kid")).toBe("p~child:kid");
  const keys = ["a/child:k", "a.child:k", "a%2Fchild:k", "a child:k", "a~child:k", "é/child:k"];
  const ids = keys.map((key) => childRunId("p", key));
  expect(new Set(ids).size).toBe(keys.length);
  for (const id of [...ids, childRunId("p".repeat(190), "child:kid")]) {
    expect(id).toMatch(/^[A-Za-z0-9\-_.:~%/@]{1,200}$/);
  }
});

test("addresses", () => {
  const clear = (address: string) => ({ address, secure: false });
  expect(grpcTarget("grpc://127.0.0.1:50051")).toEqual(clear("127.0.0.1:50051"));
  expect(grpcTarget("localhost:1")).toEqual(clear("localhost:1"));
  expect(grpcTarget("grpcs://pawl.example")).toEqual({
    address: "pawl.example:443",
    secure: true,
  });
  // Asked for its gRPC address, which it may be itself.
  expect(grpcTarget("http://[::1]:8000/")).toEqual(clear("pawl:///http://[::1]:8000"));
  expect(grpcTarget("https://pawl.example").secure).toBe(true);
  expect(() => grpcTarget("ftp://x")).toThrow(UsageError);
});
