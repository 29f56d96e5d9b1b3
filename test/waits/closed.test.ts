/**
 * Goal: what arrives for a wait that the code has given up is taken by nobody: answers are refused,
 * signals stay in, or go back to, their place in the inbox.
 * Method: raw messages on both stores, over sessions and plain calls.
 */
import {
  RunService,
  SignalService,
  StatusReason,
  WaitKind,
  WaitOutcome,
  WaitService,
} from "@pawl/proto";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { rpc } from "../harness/protocol.ts";
import {
  CHILD,
  fenceOf,
  json,
  jsonOf,
  Lab,
  ms,
  refused,
  SIGNAL,
  SLEEP,
  stores,
  transports,
} from "../semantics/lab.ts";
import {
  answer,
  ask,
  CALLBACK,
  eventually,
  getWait,
  type HeldRun,
  idOf,
  link,
  TEXT,
  waits,
} from "./waits-lab.ts";

const QUESTION = { prompt: "Which?", type: TEXT };

const send = (lab: Lab, runId: string, name: string, value: unknown) =>
  rpc(lab.client, SignalService.method.sendSignal, { runId, name, payload: json(value) });

const waitFor = ({ worker, runId, fence }: HeldRun, stepKey: string, signalName: string) =>
  worker.stepStarted({
    runId,
    fence,
    stepKey,
    name: signalName,
    kind: SIGNAL,
    wait: { signalName },
  });

const leaf = (stepKey: string) => ({ node: { case: "stepKey" as const, value: stepKey } });
const race = (...keys: string[]) => ({
  node: {
    case: "group" as const,
    value: { needed: 1, members: keys.map(leaf), exclusive: true },
  },
});

async function taken(lab: Lab, runId: string): Promise<Record<string, string>> {
  const { signals } = await rpc(lab.client, SignalService.method.listSignals, { runId });
  return Object.fromEntries(signals.map((one) => [String(jsonOf(one.payload)), one.consumedBy]));
}

describe.each(stores)("%s", (store) => {
  let lab: Lab;
  beforeAll(async () => {
    lab = await Lab.open(store);
  });
  afterAll(() => lab[Symbol.asyncDispose]());

  test.concurrent.each(transports)(
    "%s: a wait that a signal had resolved gives it back to its place, for another wait",
    async (transport) => {
      const held = await lab.held(transport);
      const { worker, runId, fence } = held;
      await waitFor(held, "race:r/signal:go", "go");
      await send(lab, runId, "go", "first");
      await send(lab, runId, "go", "second");
      expect(await taken(lab, runId)).toEqual({ first: "race:r/signal:go", second: "" });
      await worker.closeWaits({ runId, fence, stepKeys: ["race:r/signal:go", "unknown"] });
      // The same again changes nothing.
      await worker.closeWaits({ runId, fence, stepKeys: ["race:r/signal:go"] });
      expect(await taken(lab, runId)).toEqual({ first: "", second: "" });
      const { outcome } = await waitFor(held, "signal:go", "go");
      if (outcome.case !== "replay" || outcome.value.result.case !== "output")
        throw new Error(`The outcome is ${outcome.case}.`);
      expect(jsonOf(outcome.value.result.value)).toBe("first");
      const closed = (await lab.journal(runId)).filter(
        ({ type }) => type === "workflow.wait.closed",
      );
      expect(closed).toMatchObject([
        { stepKey: "race:r/signal:go", name: "go", kind: SIGNAL, details: { why: "lost" } },
      ]);
      expect(closed[0]?.details.returned).not.toBe("");
    },
  );

  test.concurrent("an open wait is closed, and opened again with its due time", async () => {
    const held = await lab.held("session");
    const { worker, runId, fence } = held;
    await ask(held, "which", QUESTION, { seconds: 60n, nanos: 0 });
    const waitId = await idOf(lab.client, `${runId}#user:which`);
    const { wait: before } = await getWait(lab.client, waitId);
    const { url } = await link(lab.client, waitId);
    await worker.closeWaits({ runId, fence, stepKeys: ["user:which"] });
    await expect(answer(lab.client, waitId, "blue")).rejects.toMatchObject(
      refused("WAIT_CLOSED", { why: "lost" }),
    );
    await expect(link(lab.client, waitId)).rejects.toMatchObject(refused("WAIT_CLOSED"));
    const gone = await fetch(url, { headers: { accept: "application/json" } });
    expect(gone.status).toBe(410);
    const post = { method: "POST", headers: { "content-type": "application/json" } };
    expect((await fetch(url, { ...post, body: '{"answer":"blue"}' })).status).toBe(410);
    expect(await waits(lab.client, { runId })).toEqual([]);
    expect(await waits(lab.client, { runId, closed: true })).toMatchObject([
      { waitId, outcome: WaitOutcome.LOST, kind: WaitKind.USER, question: { prompt: "Which?" } },
    ]);
    expect((await getWait(lab.client, waitId)).wait?.outcome).toBe(WaitOutcome.LOST);
    await ask(held, "which", QUESTION, { seconds: 60n, nanos: 0 });
    expect((await getWait(lab.client, waitId)).wait?.due).toEqual(before?.due);
    expect(await waits(lab.client, { runId, closed: true })).toEqual([]);
    expect((await fetch(url, { ...post, body: '{"answer":"blue"}' })).status).toBe(200);
  });

  test.concurrent("a race that is decided while no worker has the run closes its losers", async () => {
    const held = await lab.held("session");
    const { worker, runId, fence } = held;
    await waitFor(held, "race:r/signal:go", "go");
    await ask(held, "which", QUESTION);
    await worker.stepStarted({ runId, fence, stepKey: "callback:c", kind: CALLBACK, wait: {} });
    // Long enough for the run to be given back before it is over.
    const wait = { duration: ms(4_000) };
    await worker.stepStarted({
      runId,
      fence,
      stepKey: "sleep:late",
      name: "late",
      kind: SLEEP,
      wait,
    });
    const tree = race("race:r/signal:go", "user:which", "callback:c", "sleep:late");
    // Nobody takes it: the worker is gone, and none comes.
    await worker.suspendRun({ runId, fence, tree });
    worker.close();
    await eventually(
      async () => (await waits(lab.client, { runId })).length === 0,
      "the losers are closed",
    );
    await send(lab, runId, "go", "kept");
    expect(await taken(lab, runId)).toEqual({ kept: "" });
    for (const key of ["user:which", "callback:c"]) {
      await expect(answer(lab.client, `${runId}#${key}`, "x")).rejects.toMatchObject(
        refused("WAIT_CLOSED", { why: "lost" }),
      );
    }
  });

  test.concurrent("a race that an answer decides refuses the one that comes with it", async () => {
    const held = await lab.held("session");
    const { worker, runId, fence } = held;
    await ask(held, "a", QUESTION);
    await ask(held, "b", QUESTION);
    await worker.suspendRun({ runId, fence, tree: race("user:a", "user:b") });
    const both = await Promise.allSettled(
      ["a", "b"].map((key) => answer(lab.client, `${runId}#user:${key}`, key)),
    );
    const refusals = both.filter((one) => one.status === "rejected");
    expect(refusals).toMatchObject([{ reason: refused("WAIT_CLOSED") }]);
  });

  test.concurrent("what the code no longer asks for is withdrawn, with its version", async () => {
    const flow = lab.name("flow");
    const worker = await lab.versionedWorker(flow, "v2");
    const runId = lab.name("run");
    await lab.start({ workflow: flow, runId });
    const held = { worker, runId, fence: fenceOf(await worker.next(runId)) };
    await ask(held, "colour", QUESTION);
    await ask(held, "color", QUESTION);
    const { fence } = held;
    const asked = { stepKeys: ["user:color"] };
    await worker.suspendRun({ runId, fence, tree: leaf("user:color"), held: asked });
    expect(await waits(lab.client, { runId })).toMatchObject([{ stepKey: "user:color" }]);
    const closed = await waits(lab.client, { workflow: flow, closed: true });
    expect(closed).toMatchObject([{ stepKey: "user:colour", outcome: WaitOutcome.WITHDRAWN }]);
    const entry = (await lab.journal(runId)).find(({ type }) => type === "workflow.wait.closed");
    expect(entry?.details).toEqual({ why: "withdrawn", version: "v2" });
    await expect(answer(lab.client, `${runId}#user:colour`, "x")).rejects.toMatchObject(
      refused("WAIT_CLOSED", { why: "withdrawn" }),
    );
  });

  test.concurrent("closed ones are listed newest first, in pages", async () => {
    const held = await lab.held("session");
    const { worker, runId, fence, flow } = held;
    const keys = ["a", "b", "c", "d", "e"].map((name) => `signal:${name}`);
    for (const key of keys) {
      await waitFor(held, key, "n");
      await worker.closeWaits({ runId, fence, stepKeys: [key] });
    }
    const seen: string[] = [];
    for (let pageToken = ""; ; ) {
      const filter = { workflow: flow, closed: true, pageSize: 2, pageToken };
      const page = await rpc(lab.client, WaitService.method.listWaits, filter);
      seen.push(...page.waits.map(({ stepKey }) => stepKey));
      pageToken = page.nextPageToken;
      if (pageToken === "") break;
    }
    expect(seen.toSorted()).toEqual(keys);
    expect(seen).toEqual(keys.toReversed());
    const filter = { closed: true, assignee: "ada" };
    await expect(waits(lab.client, filter)).rejects.toMatchObject(refused("INVALID_ARGUMENT"));
  });

  test.concurrent("a child that nobody waits for any more is cancelled, if it ends with its parent", async () => {
    const { worker, runId, fence } = await lab.held("session");
    for (const [stepKey, parentClosePolicy] of [
      ["child:kept", 1],
      ["child:gone", 2],
    ] as const) {
      const childRunId = `${runId}~${stepKey.slice(6)}`;
      await rpc(lab.client, RunService.method.startRun, {
        workflow: "not registered",
        runId: childRunId,
        parent: { runId, stepKey },
        parentFence: fence,
        parentClosePolicy,
      });
      await worker.stepStarted({ runId, fence, stepKey, kind: CHILD, wait: { childRunId } });
    }
    await worker.closeWaits({ runId, fence, stepKeys: ["child:kept", "child:gone"] });
    await lab.untilEntry(`${runId}~gone`, "run.cancelled");
    expect((await lab.run(`${runId}~kept`)).statusReason).toBe(StatusReason.NO_WORKER);
  });

  test.concurrent("from a cancel on, nothing is taken by what was waited for before", async () => {
    const held = await lab.held("session");
    const { worker, runId, fence } = held;
    await waitFor(held, "signal:go", "go");
    await ask(held, "which", QUESTION);
    await rpc(lab.client, RunService.method.cancelRun, { runId });
    await send(lab, runId, "go", "kept");
    expect(await taken(lab, runId)).toEqual({ kept: "" });
    await expect(answer(lab.client, `${runId}#user:which`, "x")).rejects.toMatchObject(
      refused("WAIT_CLOSED", { why: "cancelled" }),
    );
    // A wait of the clean-up takes it.
    const cleaning = { ...held, fence: fence + 1 };
    const { outcome } = await waitFor(cleaning, "cleanup:c/signal:go", "go");
    expect(outcome.case).toBe("replay");
    await worker.failRun({ runId, fence: fence + 1, failure: { type: "Cancelled", message: "x" } });
  });
});
