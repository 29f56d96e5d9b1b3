import { setTimeout as sleep } from "node:timers/promises";
import { LeaseStatus, StepKind, WaitOutcome } from "@pawl/proto";
import { afterEach, beforeEach, describe, expect, test } from "vitest";
import { type AnyWorkflow, silentLogger, Worker, workflow } from "../src/index.ts";
import { agreeable, dispatch, Peer, reply } from "./support/peer.ts";

let peer: Peer;
let url: string;
let worker: Worker | undefined;

beforeEach(async () => {
  peer = new Peer();
  url = await peer.start();
});

afterEach(async () => {
  await worker?.stop();
  await peer.stop();
  worker = undefined;
});

async function start(...workflows: AnyWorkflow[]): Promise<Worker> {
  worker = new Worker({
    url,
    workflows,
    slots: 2,
    workerId: "w1",
    drainTimeout: 50,
    logger: silentLogger,
  });
  await worker.start();
  return worker;
}

const two = workflow("two", async (ctx) => [
  await ctx.step("a", () => 1),
  await ctx.step("b", async () => 2),
]);

describe("what the server says", () => {
  const waiting = (seen: unknown[]) =>
    workflow("waiting", async (ctx) => {
      try {
        await ctx.step("a", async (s) => {
          s.abortSignal.addEventListener("abort", () => seen.push("aborted"));
          await sleep(10_000, undefined, { signal: s.abortSignal });
        });
      } catch (error) {
        seen.push((error as Error).name);
        await ctx.step("clean up", () => seen.push("cleaned"));
        throw error;
      }
    });

  test("cancel: the signal fires, the clean-up runs under the new fence, the run ends cancelled", async () => {
    const seen: unknown[] = [];
    peer.answer = agreeable();
    await start(waiting(seen));
    peer.send(dispatch("waiting"));
    await peer.next("stepStarted");
    peer.send({ case: "cancel", value: { runId: "r1", fence: 2, reason: "enough" } });
    expect((await peer.next("stepCompleted")).value).toMatchObject({
      fence: 2,
      stepKey: "clean up",
    });
    expect((await peer.next("failRun")).value).toMatchObject({
      fence: 2,
      failure: { type: "Cancelled", message: "enough" },
    });
    expect(seen).toEqual(["aborted", "Cancelled", "cleaned"]);
  });

  test("a heartbeat answered LOST drops the run", async () => {
    const seen: unknown[] = [];
    await start(waiting(seen));
    peer.send(dispatch("waiting"));
    await peer.next("stepStarted");
    peer.send({
      case: "leaseResults",
      value: { results: [{ runId: "r1", status: LeaseStatus.LOST }] },
    });
    await peer.next("credits");
    await peer.next("credits");
    expect(seen).toEqual(["aborted"]);
    expect(peer.count("failRun")).toBe(0);
  });

  test("pause: what is in flight is recorded, then the run is given back", async () => {
    peer.answer = agreeable();
    const steps = workflow("steps", async (ctx) => {
      await ctx.step("a", () => sleep(50));
      await ctx.step("b", () => 1);
    });
    await start(steps);
    peer.send(dispatch("steps"));
    await peer.next("stepStarted");
    peer.send({ case: "pause", value: { runId: "r1", fence: 1 } });
    expect((await peer.next("stepCompleted")).value.stepKey).toBe("a");
    const suspend = await peer.next("suspendRun");
    expect(suspend.value.tree).toBeUndefined();
    peer.send(reply(suspend.id, { case: "suspendRun", value: { resumed: false, directive: 4 } }));
    await peer.next("credits");
    await peer.next("credits");
    expect(peer.count("stepCompleted")).toBe(0);
  });

  test("a wait: registered, held while it is short, resolved by a push", async () => {
    const sleeper = workflow("sleeper", async (ctx) => {
      await ctx.sleep(200);
      return ctx.signal("go");
    });
    peer.answer = agreeable();
    await start(sleeper);
    peer.send(dispatch("sleeper"));
    const timer = await peer.next("stepStarted");
    expect(timer.value).toMatchObject({
      kind: StepKind.SLEEP,
      stepKey: "sleep:sleep",
      wait: { duration: { seconds: 0n, nanos: 200_000_000 } },
    });
    expect(timer.id).not.toBe(0);
    const until = { seconds: BigInt(Math.floor(Date.now() / 1_000)), nanos: 999_000_000 };
    peer.send(
      reply(timer.id, {
        case: "stepStarted",
        value: { outcome: { case: "wait", value: { until } } },
      }),
    );
    const resolved = {
      seq: 3,
      type: "workflow.wait.resolved",
      stepKey: "sleep:sleep",
      kind: StepKind.SLEEP,
      outcome: WaitOutcome.FIRED,
    };
    peer.send({ case: "waitResolved", value: { runId: "r1", fence: 1, entry: resolved } });
    const signal = await peer.next("stepStarted");
    expect(signal.value).toMatchObject({
      kind: StepKind.SIGNAL,
      stepKey: "signal:go",
      wait: { signalName: "go" },
    });
    peer.send(
      reply(signal.id, { case: "stepStarted", value: { outcome: { case: "wait", value: {} } } }),
    );
    // Nothing but the signal is left: the run is given back, and taken again when the server knows better.
    const suspend = await peer.next("suspendRun");
    const entry = {
      seq: 5,
      type: "workflow.wait.resolved",
      stepKey: "signal:go",
      kind: StepKind.SIGNAL,
      outcome: WaitOutcome.SIGNALLED,
      payload: { data: Buffer.from('""') },
    };
    peer.send(
      reply(suspend.id, {
        case: "suspendRun",
        value: { resumed: true, directive: 1, resolved: [entry] },
      }),
    );
    expect(Buffer.from((await peer.next("completeRun")).value.output?.data ?? []).toString()).toBe(
      '""',
    );
  });

  test("errors: what is worth it is sent again, a lost lease ends the run silently", async () => {
    await start(two);
    peer.send(dispatch("two"));
    const first = await peer.next("stepCompleted");
    peer.send(
      reply(first.id, {
        case: "error",
        value: { reason: "STORE_UNAVAILABLE", code: 14, message: "later" },
      }),
    );
    const again = await peer.next("stepCompleted");
    expect(again.value).toEqual(first.value);
    peer.send(
      reply(again.id, {
        case: "error",
        value: { reason: "LEASE_LOST", code: 10, message: "gone" },
      }),
    );
    await peer.next("credits");
    expect((await peer.next("credits")).value.count).toBe(1);
    expect(peer.count("failRun")).toBe(0);
  });

  test("live output goes out in order, in batches, before its step's result", async () => {
    const talk = workflow("talk", (ctx) =>
      ctx.step("gen", async function* () {
        for (const word of ["a", "b", "c"]) yield word;
      }),
    );
    peer.answer = agreeable();
    await start(talk);
    peer.send(dispatch("talk"));
    const { value, message } = await peer.next("publishEvents");
    expect((await peer.next("stepCompleted")).message).toBeGreaterThanOrEqual(message);
    await peer.next("completeRun");
    expect(
      value.events.map((event) => [event.type, event.stepKey, event.attempt, event.sequence]),
    ).toEqual([
      ["output.delta", "gen", 1, 1],
      ["output.delta", "gen", 1, 2],
      ["output.delta", "gen", 1, 3],
    ]);
  });

  test("drain: it connects anew with its leases", async () => {
    const seen: unknown[] = [];
    await start(waiting(seen));
    await peer.next("hello");
    peer.send(dispatch("waiting"));
    await peer.next("stepStarted");
    peer.send({ case: "drain", value: {} });
    const again = await peer.next("hello");
    expect(again.value.leases).toMatchObject([{ runId: "r1" }]);
    expect(seen).toEqual([]);
  });

  test("frames about runs that it does not have, and pings, hurt nobody", async () => {
    peer.answer = agreeable();
    await start(two);
    peer.send(
      { case: "cancel", value: { runId: "nobody", fence: 1 } },
      { case: "waitResolved", value: { runId: "nobody", entry: { seq: 1 } } },
      reply(99, { case: "error", value: { reason: "INVALID_ARGUMENT" } }),
      { case: "ping", value: { nonce: 42 } },
      dispatch("two"),
    );
    expect((await peer.next("pong")).value.nonce).toBe(42);
    await peer.next("completeRun");
  });
});

describe("a report that the server does not take for what it holds", () => {
  const tooLarge = { reason: "PAYLOAD_TOO_LARGE", message: "output: is too large", code: 3 };

  async function refusing(refused: readonly string[]): Promise<unknown[]> {
    const seen: unknown[] = [];
    const agree = agreeable();
    peer.answer = (frame) => {
      const { id, body } = frame;
      if (body.case !== "stepCompleted" && body.case !== "stepFailed") return agree(frame);
      if (body.value.stepKey === "charge" && refused.includes(body.case)) {
        return reply(id, { case: "error", value: tooLarge });
      }
      if (body.case === "stepCompleted") return agree(frame);
      const final = { case: "final" as const, value: { action: 1 } };
      return reply(id, { case: "stepFailed", value: { directive: 1, seq: 9, next: final } });
    };
    const order = workflow("order", async (ctx) => {
      ctx.compensate("undo", () => seen.push("undone"));
      try {
        await ctx.step("charge", () => "a receipt");
      } catch (error) {
        seen.push((error as Error).name, String(error).includes("is too large"));
        throw error;
      } finally {
        await ctx.step("note", () => seen.push("noted"));
      }
    });
    await start(order);
    peer.send(dispatch("order"));
    const end = await peer.next("failRun");
    expect(end.value.failure?.message).toContain("is too large");
    return seen;
  }

  test("a result: its step fails, and the code gets that", async () => {
    const seen = await refusing(["stepCompleted"]);
    expect(seen).toEqual(["StepFailedError", true, "noted", "undone"]);
  });

  test("its failure, too: the code gets the refusal", async () => {
    const seen = await refusing(["stepCompleted", "stepFailed"]);
    expect(seen).toEqual(["RequestError", true, "noted", "undone"]);
  });
});
