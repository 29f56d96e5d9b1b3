/**
 * Goal: a wait that nobody waits for any more is cancelled on the server, also by who takes the run
 * over, and user code sees the same in every replay.
 * Method: races over the recording platform, and their journals cut off between winner and loser.
 */
import { create, type MessageInitShape } from "@bufbuild/protobuf";
import { JournalEntrySchema, StepKind, WaitOutcome } from "@pawl/proto";
import { describe, expect, test } from "vitest";
import { Cancelled, type Context, WaitCancelledError, workflow } from "../src/index.ts";
import { encode, payloadOf } from "../src/internal.ts";
import { perform } from "./support/perform.ts";
import { begin, RecordingLink } from "./support/recording-link.ts";

type Init = MessageInitShape<typeof JournalEntrySchema>;

const journal = (...entries: Init[]) =>
  entries.map((entry, i) => create(JournalEntrySchema, { ...entry, seq: i + 1 }));

const created = (stepKey: string, kind: StepKind): Init => ({
  ...{ type: "workflow.wait.created", stepKey, kind, attempt: 1 },
});
const resolved = (
  stepKey: string,
  kind: StepKind,
  outcome: WaitOutcome,
  value?: unknown,
): Init => ({
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

  test("is closed; a child, too, which is cancelled with it", async () => {
    const { result, link } = await perform(race, { signals: { go: ["went"] } });
    expect(result).toBe("went");
    expect(link.closed).toEqual([answer, "all:kid/child:kid"]);
    expect(seen).toEqual(["cancelled"]);
  });

  test("is cancelled by who takes over a run whose worker died before", async () => {
    const cut = journal(...begun, resolved(go, StepKind.SIGNAL, WaitOutcome.SIGNALLED, "went"));
    const { result, link } = await perform(race, { journal: cut });
    expect(result).toBe("went");
    expect(link.closed).toEqual([answer]);
    expect(seen).toEqual(["cancelled"]);
  });

  test("that the server has closed is given up, if it is a child, which continues until then", async () => {
    const kid = "all:kid/child:kid";
    const closed = (stepKey: string, kind: StepKind) => ({
      ...{ type: "workflow.wait.closed", stepKey, kind },
    });
    const cut = journal(
      ...[...begun, created(kid, StepKind.CHILD)],
      resolved(go, StepKind.SIGNAL, WaitOutcome.SIGNALLED, "went"),
      ...[closed(answer, StepKind.USER), closed(kid, StepKind.CHILD)],
    );
    const { result, link } = await perform(race, { journal: cut });
    expect([result, link.closed]).toEqual(["went", [kid]]);
  });

  test("that is on record as cancelled is not cancelled again", async () => {
    const whole = journal(
      ...begun,
      resolved(go, StepKind.SIGNAL, WaitOutcome.SIGNALLED, "went"),
      resolved(answer, StepKind.USER, WaitOutcome.CANCELLED),
    );
    const { result, link } = await perform(race, { journal: whole });
    expect([result, link.closed, seen]).toEqual(["went", [], ["cancelled"]]);
  });
});

test("a signal that a lost branch had taken, and was never given, goes back", async () => {
  const late = "all:late/sleep:sleep";
  const go = "all:go/signal:go";
  const race = workflow("race", async (ctx: Context) => {
    const first = await ctx.race({
      go: (c) => c.signal("go"),
      late: (c) => c.sleep("2 s").then(() => "late"),
    });
    return [first, await ctx.signal("go")];
  });
  const cut = journal(
    ...[created(go, StepKind.SIGNAL), created(late, StepKind.SLEEP)],
    ...[
      resolved(late, StepKind.SLEEP, WaitOutcome.FIRED),
      resolved(go, StepKind.SIGNAL, WaitOutcome.SIGNALLED, "s"),
    ],
  );
  const { result, link } = await perform(race, { journal: cut, signals: { go: ["given back"] } });
  expect([result, link.closed]).toEqual([["late", "given back"], [go]]);
});

test("a signal goes back, too, that was taken further on in a lost branch than this worker gets", async () => {
  const go = "all:go/signal:go";
  const one = "all:deep/signal:one";
  const two = "all:deep/signal:two";
  const three = "all:deep/signal:three";
  const race = workflow("race", (ctx: Context) =>
    ctx.race({
      go: (c) => c.signal("go"),
      deep: async (c) => [await c.signal("one"), await c.signal("two"), await c.signal("three")],
    }),
  );
  // The worker that had the run before died between the second signal and the close of both waits.
  const cut = journal(
    ...[created(go, StepKind.SIGNAL), created(one, StepKind.SIGNAL)],
    ...[resolved(go, StepKind.SIGNAL, WaitOutcome.SIGNALLED, "went")],
    ...[resolved(one, StepKind.SIGNAL, WaitOutcome.SIGNALLED, 1), created(two, StepKind.SIGNAL)],
    ...[resolved(two, StepKind.SIGNAL, WaitOutcome.SIGNALLED, 2), created(three, StepKind.SIGNAL)],
  );
  const { result, link } = await perform(race, { journal: cut });
  expect([result, link.closed]).toEqual(["went", [one, two, three]]);
});

test("a wait that was lost before the server had answered is closed before the run ends", async () => {
  let answer: () => void = () => undefined;
  const answered = new Promise<void>((resolve) => {
    answer = resolve;
  });
  class SlowLink extends RecordingLink {
    override async start(request: Parameters<RecordingLink["start"]>[0]) {
      const response = await super.start(request);
      if (request.kind === StepKind.SIGNAL) await answered;
      return response;
    }
  }
  for (const confirmStarts of [false, true]) {
    const link = new SlowLink({ confirmStarts });
    const race = workflow("race", (ctx: Context) =>
      ctx.race({ go: (c) => c.signal("go"), quick: (c) => c.step("quick", () => "quick") }),
    );
    begin(link, race);
    setTimeout(answer, 50);
    const { kind } = await link.outcome;
    expect([kind, link.closed]).toEqual(["completed", ["all:go/signal:go"]]);
  }
});

test("alternatives are distinguished when a run is suspended, and all waits that it holds are named", async () => {
  const race = workflow("race", async (ctx: Context) => {
    void ctx.callback("paid");
    await ctx.all({
      other: (c) => c.signal("other"),
      first: (c) => c.race({ go: (r) => r.signal("go"), late: (r) => r.sleep("1 day") }),
    });
  });
  const { outcome } = await perform(race, { suspends: true, sleepless: true });
  const request = outcome.kind === "suspended" ? outcome.request : undefined;
  const keys = ["all:first/all:go/signal:go", "all:first/all:late/sleep:sleep"];
  const held = ["callback:paid", "all:other/signal:other", ...keys];
  expect(request).toMatchObject({ held: { stepKeys: held } });
  const text = JSON.stringify(request, (_, one) => (typeof one === "bigint" ? String(one) : one));
  expect(text.match(/"exclusive":true/g)).toHaveLength(1);
});

test("a wait that was closed is registered anew when the code asks for it all the same", async () => {
  const asked = workflow("asked", (ctx: Context) => ctx.signal("go"));
  const closed = { type: "workflow.wait.closed", stepKey: "signal:go", kind: StepKind.SIGNAL };
  const cut = journal(
    created("signal:go", StepKind.SIGNAL),
    resolved("signal:go", StepKind.SIGNAL, WaitOutcome.SIGNALLED, "old"),
    closed,
  );
  const { result, link } = await perform(asked, { journal: cut, signals: { go: ["new"] } });
  expect([result, link.starts]).toEqual(["new", ["signal:go"]]);
});

test("what somebody else cancelled throws, with who and why", async () => {
  const asked = workflow("asked", (ctx: Context) =>
    ctx.waitForUser("Why?").catch((error: unknown) => {
      if (!(error instanceof WaitCancelledError)) throw error;
      return [error.stepKey, error.message];
    }),
  );
  const entry = resolved("user:Why?", StepKind.USER, WaitOutcome.CANCELLED);
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
        order.push(String(await callback.result()));
      },
      async () => order.push(String(await ctx.signal("one"))),
      async () => order.push(String(await ctx.signal("two"))),
    ];
    await Promise.all(flows.map((flow) => flow()));
    return order;
  });
  const recorded = journal(
    resolved("signal:one", StepKind.SIGNAL, WaitOutcome.SIGNALLED, "one"),
    created("callback:paid", StepKind.CALLBACK),
    resolved("signal:two", StepKind.SIGNAL, WaitOutcome.SIGNALLED, "two"),
    resolved("callback:paid", StepKind.CALLBACK, WaitOutcome.COMPLETED, "body"),
  );
  const { result, link } = await perform(paid, { journal: recorded });
  expect(result).toEqual(["one", "url", "two", "body"]);
  expect(link.starts).toEqual(["callback:paid"]);
});

test("a callback that is resolved while the replay asks for another one's URL has its own URL all the same", async () => {
  const two = workflow("two", async (ctx: Context) => {
    const one = async (name: string) => await (await ctx.callback(name)).result();
    return await ctx.all({ a: () => one("a"), b: () => one("b") });
  });
  const [a, b] = ["all:a/callback:a", "all:b/callback:b"];
  const cut = journal(
    created(b, StepKind.CALLBACK),
    created(a, StepKind.CALLBACK),
    resolved(a, StepKind.CALLBACK, WaitOutcome.COMPLETED, "from a"),
  );
  const link = new RecordingLink({ journal: cut });
  const start = link.start.bind(link);
  link.start = async (request) => {
    if (request.stepKey === a) {
      const entry = resolved(b, StepKind.CALLBACK, WaitOutcome.COMPLETED, "from b");
      link.run?.waitResolved(create(JournalEntrySchema, { ...entry, seq: 4 }));
    }
    return await start(request);
  };
  begin(link, two, undefined);
  const { kind, request } = await link.outcome;
  expect([kind, request]).toMatchObject(["completed", {}]);
  expect(link.starts).toEqual(expect.arrayContaining([a, b]));
});
