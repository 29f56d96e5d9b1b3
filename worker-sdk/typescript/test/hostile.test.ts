/**
 * Goal: whatever user code throws, yields, returns or passes on, its run ends with a recorded result
 * or failure, the same in a replay, and nothing else in the process is hurt.
 * Method: every value of a table at every place, executed live, and again from the journal.
 */
import { inspect } from "node:util";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { type AnyWorkflow, agent, type Context, event, workflow } from "../src/index.ts";
import { shown } from "../src/lib/foreign.ts";
import { hostile } from "./support/hostile.ts";
import { failureOf, perform } from "./support/perform.ts";

type Make = () => unknown;

/** What the code was given, as text. */
async function told(work: () => Promise<unknown>): Promise<string> {
  try {
    return `result ${inspect(await work(), { depth: 8 })}`;
  } catch (error) {
    const { name, message } = error as Error;
    const type = error instanceof Error && "type" in error ? error.type : "";
    return `error ${name} ${inspect(type)} ${inspect(message)}`;
  }
}

const places: Readonly<Record<string, (ctx: Context, make: Make) => Promise<unknown>>> = {
  "returned by a step": (ctx, make) => told(() => ctx.step("s", () => make())),
  "resolved by a step": (ctx, make) => told(() => ctx.step("s", async () => [make()])),
  "thrown by a step": (ctx, make) =>
    told(() =>
      ctx.step("s", () => {
        throw make();
      }),
    ),
  "rejected by a step": (ctx, make) =>
    told(() =>
      ctx.step("s", async () => {
        await undefined;
        throw make();
      }),
    ),
  "tried again": (ctx, make) =>
    told(() => ctx.step("s", () => Promise.reject(make()), { retry: 2 })),
  yielded: (ctx, make) =>
    told(() =>
      ctx.step(
        "s",
        async function* () {
          yield make();
        },
        { reduce: "collect" },
      ),
    ),
  "thrown by a generator": (ctx, make) =>
    told(() =>
      ctx.step("s", async function* () {
        yield "text";
        throw make();
      }),
    ),
  "data of an event": (ctx, make) =>
    told(() =>
      ctx.step("s", async function* () {
        yield event("own", make());
      }),
    ),
  "output of an agent": (ctx, make) => told(() => ctx.step("s", () => agent("a", make)())),
  "thrown by an agent": (ctx, make) =>
    told(() =>
      ctx.step("s", () =>
        agent("a", () => {
          throw make();
        })(),
      ),
    ),
  "thrown in a step in a step": (ctx, make) =>
    told(() => ctx.step("s", (s) => s.step("inner", () => Promise.reject(make())))),
  argument: (ctx, make) => told(() => ctx.step("s", (x: unknown) => typeof x, [make()])),
  "reduced to": (ctx, make) =>
    told(() =>
      ctx.step(
        "s",
        async function* () {
          yield 1;
        },
        { reduce: () => make() },
      ),
    ),
  "thrown by a branch": (ctx, make) =>
    told(() =>
      ctx.all([
        (c) => c.step("other", () => 1),
        () => {
          throw make();
        },
      ]),
    ),
  "thrown by an item": (ctx, make) =>
    told(() => ctx.map("m", [1, 2], () => Promise.reject(make()))),
  "won a race": (ctx, make) => told(() => ctx.race([() => make(), (c) => c.sleep("1 h")])),
  "input of a child": (ctx, make) =>
    told(() =>
      ctx.race([(c) => c.child("other", make()), (c) => c.step("s", () => 1).then(() => "other")]),
    ),
  "returned by the workflow": async (_ctx, make) => make(),
  "thrown by the workflow": async (_ctx, make) => {
    throw make();
  },
  "thrown by a compensation": async (ctx, make) => {
    ctx.compensate("undo", () => Promise.reject(make()));
    await ctx.step("s", () => 1);
    throw new Error("original");
  },
};

/** There is nothing to lose in these. */
const wordless = new Set(["undefined", "empty text", "error without message", "message undefined"]);

const unhandled: unknown[] = [];
const note = (error: unknown) => void unhandled.push(error);

async function outcomeOf(definition: AnyWorkflow, options: Parameters<typeof perform>[1]) {
  const { link, outcome } = await perform(definition, options);
  const { request } = outcome;
  const { data, encoding } =
    (request !== undefined && "output" in request ? request.output : undefined) ?? {};
  // Where an error was made is not the same in a replay, unless it was recorded.
  const output = Buffer.from(data ?? "")
    .toString("latin1")
    .replaceAll(/\\n +at [^"\\]*/g, "");
  const { type, message } = failureOf(outcome) ?? {};
  return { journal: link.journal, told: { kind: outcome.kind, encoding, output, type, message } };
}

describe("hostile values", () => {
  beforeAll(() => void process.on("unhandledRejection", note));
  afterAll(() => void process.off("unhandledRejection", note));

  test.each(Object.entries(places))("%s", async (_name, place) => {
    for (const [name, make] of Object.entries(hostile)) {
      const definition = workflow("w", (ctx) => place(ctx, make));
      const live = await outcomeOf(definition, {});
      // No text is lost: neither "undefined", nor nothing at all.
      if (live.told.kind === "failed" && !wordless.has(name))
        expect(live.told.message, name).not.toMatch(/^(thrown: undefined|\[object Object\])?$/);
      const replayed = await outcomeOf(definition, { journal: live.journal.slice(0, -1) });
      expect({ name, ...replayed.told }).toEqual({ name, ...live.told });
    }
    // Rejections are reported a turn later.
    await new Promise((resolve) => setImmediate(resolve));
    expect(unhandled).toEqual([]);
  });

  test("a number that JSON does not know is shown as it is", () => {
    expect([NaN, -Infinity, 1.5].map(shown)).toEqual(["NaN", "-Infinity", "1.5"]);
  });
});
