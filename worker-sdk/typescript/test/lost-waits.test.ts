/**
 * Goal: a wait that nobody waits for any more is cancelled on the server, also by who takes the run
 * over, and user code sees the same in every replay.
 * Method: races over the recording platform, and their journals cut off between winner and loser.
 */
import { create, type MessageInitShape } from "@bufbuild/protobuf";
import { JournalEntrySchema, StepKind } from "@pawl/proto";
import { describe, expect, test } from "vitest";
import { Cancelled, type Context, WaitCancelledError, workflow } from "../src/index.ts";
import { encode, payloadOf } from "../src/internal.ts";
import { perform } from "./support/perform.ts";

type Init = MessageInitShape<typeof JournalEntrySchema>;

const journal = (...entries: Init[]) =>
  entries.map((entry, i) => create(JournalEntrySchema, { ...entry, seq: i + 1 }));

const created = (stepKey: string, kind: StepKind): Init => ({
  ...{ type: "workflow.wait.created", stepKey, kind, attempt: 1 },
});
const resolved = (stepKey: string, kind: StepKind, outcome: string, value?: unknown): Init => ({
  ...{ type: "workflow.wait.resolved", stepKey, kind, outcome },
  ...(value === undefined ? {} : { payload: payloadOf(encode(value, "a value")) }),
});

describe("the loser of a race", () => {
  const seen: string[] = [];
  const race = workflow("race", async (ctx: Context) => {
    seen.length = 0;
    const won = await ctx.race({
      go: () => ctx.signal("go"),
      answer: async () => {
        try {
          return await ctx.waitForUser("Why?");
        } catch (error) {
          seen.push(error instanceof Cancelled ? "cancelled" : String(error));
          throw error;
        }
      },
      kid: () => ctx.child("kid", undefined),
    });
    await ctx.step("after", () => 1);
    return won;
  });
  const go = "all:go/signal:go";
  const answer = "all:answer/user:Why?";
  const begun = [created(go, StepKind.SIGNAL), created(answer, StepKind.USER)];

  test("is cancelled; a child goes on", async () => {
    const { result, link } = await perform(race, { signals: { go: ["went"] } });
    expect(result).toBe("went");
    expect(link.cancelled).toEqual([`run-1#${answer}`]);
    expect(seen).toEqual(["cancelled"]);
  });

  test("is cancelled by who takes over a run whose worker died before", async () => {
    const cut = journal(...begun, resolved(go, StepKind.SIGNAL, "signalled", "went"));
    const { result, link } = await perform(race, { journal: cut });
    expect(result).toBe("went");
    expect(link.cancelled).toEqual([`run-1#${answer}`]);
    expect(seen).toEqual(["cancelled"]);
  });

  test("that is on record as cancelled is not cancelled again", async () => {
    const whole = journal(
      ...begun,
      resolved(go, StepKind.SIGNAL, "signalled", "went"),
      resolved(answer, StepKind.USER, "cancelled"),
    );
    const { result, link } = await perform(race, { journal: whole });
    expect([result, link.cancelled, seen]).toEqual(["went", [], ["cancelled"]]);
  });
});

test("what somebody else cancelled throws, with who and why", async () => {
  const asked = workflow("asked", (ctx: Context) =>
    ctx.waitForUser("Why?").catch((error: unknown) => {
      if (!(error instanceof WaitCancelledError)) throw error;
      return [error.stepKey, error.message];
    }),
  );
  const entry = resolved("user:Why?", StepKind.USER, "cancelled");
  const details = { actor: "ops", comment: "obsolete" };
  const { result } = await perform(asked, { journal: journal({ ...entry, details }) });
  expect(result).toEqual(["user:Why?", 'the wait "Why?" was cancelled by ops: obsolete']);
});

test("a callback that is on record asks for its URL, in the order of the journal", async () => {
  const order: string[] = [];
  const paid = workflow("paid", async (ctx: Context) => {
    const flows = [
      async () => {
        const callback = await ctx.callback("paid");
        order.push("url");
        order.push(String(await callback.result));
      },
      async () => order.push(String(await ctx.signal("one"))),
      async () => order.push(String(await ctx.signal("two"))),
    ];
    await Promise.all(flows.map((flow) => flow()));
    return order;
  });
  const recorded = journal(
    resolved("signal:one", StepKind.SIGNAL, "signalled", "one"),
    created("callback:paid", StepKind.CALLBACK),
    resolved("signal:two", StepKind.SIGNAL, "signalled", "two"),
    resolved("callback:paid", StepKind.CALLBACK, "completed", "body"),
  );
  const { result, link } = await perform(paid, { journal: recorded });
  expect(result).toEqual(["one", "url", "two", "body"]);
  expect(link.starts).toEqual(["callback:paid"]);
});
