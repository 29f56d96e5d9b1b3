/**
 * Goal: events of any stream find their parents, results are what agents say they are, and types
 * follow.
 * Method: streams read as a step reads them, without a platform; the real thing is in test/events.
 */
import { expect, expectTypeOf, test } from "vitest";
import { agent, current, event, runLocally, step, workflow } from "../src/index.ts";
import { consume } from "../src/run/stream.ts";
import type { EmitOptions } from "../src/run/stream-event.ts";

interface Sent extends EmitOptions {
  readonly type: string;
  readonly data: unknown;
}

async function read(items: AsyncIterable<unknown>, reduce?: "join" | "collect") {
  const sent: Sent[] = [];
  const send = (type: string, data: unknown, options: EmitOptions) =>
    void sent.push({ ...options, type, data });
  const result = await consume(items, { reduce, name: "s", send, stopped: () => false });
  return { result, sent };
}

/** `type < parent's type or id`, each. */
function tree(sent: readonly Sent[]): string[] {
  const nameOf = (parent: string) => {
    const above = sent.find(({ id }) => id === parent);
    return above?.type ?? parent;
  };
  return sent.map(({ type, parent }) =>
    parent === undefined ? type : `${type} < ${nameOf(parent)}`,
  );
}

test("a foreign stream's chunks, as events: parents by their order", async () => {
  const chunks = new ReadableStream<string>({
    start(controller) {
      for (const chunk of ["a", "b"]) controller.enqueue(chunk);
      controller.close();
    },
  });
  const { result, sent } = await read(
    (async function* () {
      yield event("agent.started", { name: "outer" });
      yield event("lm.message.start");
      for await (const chunk of chunks) yield event("lm.message.delta", chunk);
      yield event("agent.started", { name: "inner" });
      yield event("lm.thinking.delta", "x");
      yield event("agent.completed", { output: "inner" });
      yield event("lm.message.stop");
      yield event("mood", "good");
      yield event("agent.completed", { output: { n: 1 } });
      yield event("after");
    })(),
  );
  expect(result).toEqual({ n: 1 });
  expect(tree(sent)).toEqual([
    "agent.started",
    "lm.message.start < agent.started",
    "lm.message.delta < lm.message.start",
    "lm.message.delta < lm.message.start",
    "agent.started < agent.started",
    "lm.thinking.delta < agent.started",
    "agent.completed < agent.started",
    "lm.message.stop < lm.message.start",
    "mood < agent.started",
    "agent.completed < agent.started",
    "after",
  ]);
  const [outer, , , , inner] = sent;
  expect(sent[5]?.parent).toBe(inner?.id);
  expect(sent[8]?.parent).toBe(outer?.id);
});

test("what is open at once has ids of its own", async () => {
  const { sent } = await read(
    (async function* () {
      yield event("tool.call.started", { tool: "a" }, { id: "a" });
      yield event("tool.call.started", { tool: "b" }, { id: "b" });
      yield event("tool.call.delta", 1, { parent: "a" });
      yield event("tool.call.completed", undefined, { parent: "a" });
      yield event("tool.call.completed", undefined, { parent: "b" });
    })(),
  );
  expect(sent.map(({ parent }) => parent)).toEqual([undefined, undefined, "a", "a", "b"]);
});

test("items beside events make the result where no agent tells one, and where it is asked for", async () => {
  async function* texts() {
    yield "a";
    yield event("progress", { done: 1 });
    yield "b";
  }
  expect((await read(texts())).result).toBe("ab");
  expect((await read(texts())).sent.map(({ type }) => type)).toEqual([
    "output.delta",
    "progress",
    "output.delta",
  ]);
  const told = agent("told", async function* () {
    yield* texts();
    return 5;
  });
  expect((await read(told())).result).toBe(5);
  expect((await read(told(), "collect")).result).toEqual([]);
  const nothing = agent("nothing", () => undefined);
  expect((await read(nothing())).result).toBe(undefined);
});

test("an agent's end is told once, however it ends, and its clean-up runs", async () => {
  const ended: string[] = [];
  const failing = agent("failing", async function* () {
    try {
      yield event("lm.message.delta", "a");
      throw new TypeError("no");
    } finally {
      ended.push("failing");
    }
  });
  const caught = agent("caught", async function* () {
    try {
      yield* failing();
    } catch {
      return "in spite of it";
    }
    return "never";
  });
  const { result, sent } = await read(caught());
  expect(result).toBe("in spite of it");
  expect(sent.map(({ type }) => type)).toEqual([
    "agent.started",
    "agent.started",
    "lm.message.delta",
    "agent.failed",
    "agent.completed",
  ]);
  const [outer, inner, delta, failed, completed] = sent;
  expect([inner?.parent, completed?.parent]).toEqual([outer?.id, outer?.id]);
  expect([delta?.parent, failed?.parent]).toEqual([inner?.id, inner?.id]);
  expect(failed?.data).toEqual({ name: "failing", error: { type: "TypeError", message: "no" } });

  const endless = agent("endless", async function* () {
    try {
      for (;;) yield event("tick");
    } finally {
      ended.push("endless");
    }
  });
  for await (const { type } of endless()) if (type !== "agent.started") break;
  expect(ended).toEqual(["failing", "endless"]);
});

test("without a platform an agent just runs; its code finds the step that it is in", async () => {
  const asked = agent("asked", async function* (question: string) {
    yield event("lm.message.delta", question);
    const inner = await current().step("look up", () => question.length);
    return { inner, in: current().runId };
  });
  const ask = workflow("ask", async (ctx) => {
    const answer = await ctx.step("ask", () => asked("why"));
    expectTypeOf(answer).toEqualTypeOf<{ inner: number; in: string }>();
    return answer;
  });
  expect(await runLocally(ask, undefined, { runId: "asking" })).toEqual({ inner: 3, in: "asking" });
  const alone = step("alone", async function* () {
    yield event("agent.completed", { output: 7 });
  });
  expectTypeOf(alone).returns.resolves.toEqualTypeOf<number>();
  expect(await alone()).toBe(7);
});

test("types of results", () => {
  const count = agent("count", async (text: string) => text.length);
  const body = workflow("types", async (ctx) => {
    const nested = await ctx.step("a", async function* () {
      yield event("lm.message.delta", "x");
      yield* count("abc");
    });
    expectTypeOf(nested).toEqualTypeOf<number>();
    const told = await ctx.step("b", async function* () {
      yield event("agent.started");
      yield event("agent.completed", { output: "x" });
    });
    expectTypeOf(told).toEqualTypeOf<string>();
    const text = await ctx.step("c", async function* () {
      yield event("note", 1);
      yield "x";
    });
    expectTypeOf(text).toEqualTypeOf<string>();
    const list = await ctx.step(
      "d",
      async function* () {
        yield event("note", 1);
        yield Number("5");
      },
      { reduce: "collect" },
    );
    expectTypeOf(list).toEqualTypeOf<number[]>();
    await ctx.step("e", async (s) => {
      expectTypeOf(await s.stream(count("x"))).toEqualTypeOf<number>();
    });
  });
  expectTypeOf(body).toBeFunction();
});
