/**
 * Goal: a signal reaches the run that waits for it, whenever it comes, once; and what waits costs
 * the server nothing while it waits.
 * Method: raw messages on both stores; a fresh process sends; the server's memory is read from
 * outside.
 */
import { execFile } from "node:child_process";
import { promisify } from "node:util";
import { RunStatus, SignalService, WaitKind, WaitOutcome, WorkerService } from "@pawl/proto";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { readResidentMb } from "../bench/cpu.ts";
import { workflowName } from "../bench/product/bench-runs.ts";
import { seedSleepers } from "../bench/product/waiting.ts";
import { createDatabase } from "../harness/database.ts";
import { connect, rpc, SessionWorker } from "../harness/protocol.ts";
import { serverMain, startServer } from "../harness/server.ts";
import {
  BOOM,
  fenceOf,
  json,
  jsonOf,
  Lab,
  ms,
  refused,
  SIGNAL,
  SLEEP,
  sleep,
  stores,
  transports,
} from "../semantics/lab.ts";
import { ask, type HeldRun, suspendOn, TEXT, waits } from "./waits-lab.ts";

const send = (lab: Lab, runId: string, name: string, value: unknown, signalId = "") =>
  rpc(lab.client, SignalService.method.sendSignal, {
    runId,
    name,
    signalId,
    payload: json(value),
  });

const waitFor = ({ worker, runId, fence }: HeldRun, stepKey: string, signalName: string) =>
  worker.stepStarted({ runId, fence, stepKey, kind: SIGNAL, wait: { signalName } });

describe.each(stores)("%s", (store) => {
  let lab: Lab;
  beforeAll(async () => {
    lab = await Lab.open(store);
  });
  afterAll(() => lab[Symbol.asyncDispose]());

  test.concurrent.each(transports)(
    "%s: signals before their waits are kept, in order, by name",
    async (transport) => {
      const held = await lab.held(transport);
      await send(lab, held.runId, "a", 1);
      await send(lab, held.runId, "b", "other");
      await send(lab, held.runId, "a", 2);
      const got = [];
      for (const key of ["signal:a", "signal:a#2"]) {
        const { outcome } = await waitFor(held, key, "a");
        if (outcome.case !== "replay" || outcome.value.result.case !== "output")
          throw new Error(`The outcome is ${outcome.case}.`);
        got.push(jsonOf(outcome.value.result.value));
        expect(outcome.value.outcome).toBe(WaitOutcome.SIGNALLED);
      }
      expect(got).toEqual([1, 2]);
      expect((await waitFor(held, "signal:a#3", "a")).outcome.case).toBe("wait");
    },
  );

  test.concurrent("twice with one id is once; the id with other content is a conflict", async () => {
    const { runId } = await lab.held("unary");
    expect((await send(lab, runId, "a", 1, "s1")).duplicate).toBe(false);
    expect((await send(lab, runId, "a", 1, "s1")).duplicate).toBe(true);
    await expect(send(lab, runId, "a", 2, "s1")).rejects.toMatchObject(
      refused("IDEMPOTENCY_CONFLICT"),
    );
    const { signals } = await rpc(lab.client, SignalService.method.listSignals, { runId });
    expect(signals).toHaveLength(1);
  });

  test.concurrent("to nobody, and to a run that has ended", async () => {
    const { worker, runId, fence } = await lab.held("unary");
    await expect(send(lab, "nobody", "a", 1)).rejects.toMatchObject(refused("NOT_FOUND"));
    await worker.failRun({ runId, fence, failure: BOOM });
    await expect(send(lab, runId, "a", 1)).rejects.toMatchObject(refused("RUN_TERMINAL"));
  });

  test.concurrent("from a fresh process to a run that is suspended: it continues with the payload", async () => {
    const held = await lab.held("session");
    await waitFor(held, "signal:go", "go");
    await suspendOn(held, ["signal:go"]);
    const args = ["signal", held.runId, "go", "--data", '{"n":7}'];
    await promisify(execFile)(process.execPath, [serverMain, ...args], {
      env: { ...process.env, PAWL_HTTP_URL: lab.server.httpUrl },
    });
    const next = await held.worker.next(held.runId, held.fence);
    const resolved = next.journal.find(({ type }) => type === "workflow.wait.resolved");
    expect(jsonOf(resolved?.payload)).toEqual({ n: 7 });
  });

  test.concurrent("all, any and some of waits of every kind, resolved in any order", async () => {
    const held = await lab.held("session");
    const { worker, runId } = held;
    let { fence } = held;
    const leaf = (value: string) => ({ node: { case: "stepKey" as const, value } });
    const group = (needed: number, ...members: ReturnType<typeof leaf>[]) => ({
      node: { case: "group" as const, value: { needed, members } },
    });
    await waitFor(held, "signal:a", "a");
    await waitFor(held, "signal:b", "b");
    await ask(held, "q", { prompt: "Q?", type: TEXT });
    await worker.stepStarted({
      runId,
      fence,
      stepKey: "sleep:s",
      kind: SLEEP,
      wait: { duration: ms(150) },
    });
    // (a and b), or two of (q, sleep, a): the sleep and then a do it.
    const tree = {
      node: {
        case: "group" as const,
        value: {
          needed: 1,
          members: [
            group(0, leaf("signal:a"), leaf("signal:b")),
            group(2, leaf("user:q"), leaf("sleep:s"), leaf("signal:a")),
          ],
        },
      },
    };
    const { resumed } = await worker.suspendRun({ runId, fence, tree });
    expect(resumed).toBe(false);
    await lab.untilEntry(runId, "workflow.wait.resolved");
    expect((await lab.run(runId)).status).toBe(RunStatus.WAITING);
    await send(lab, runId, "a", 1);
    const next = await worker.next(runId, fence);
    fence = fenceOf(next);
    const open = await waits(lab.client, { runId });
    expect(open.map(({ stepKey }) => stepKey).toSorted()).toEqual(["signal:b", "user:q"]);
  });
});

test("signals and answers through two servers at once: the tree wakes the run once, nothing is lost", async () => {
  await using lab = await Lab.open("postgres");
  await using other = await startServer({ store: lab.server.store });
  const client = connect(other.grpcAddress);
  const names = Array.from({ length: 12 }, (_, index) => `s${index}`);
  const held = await lab.held("session");
  const { worker, runId, fence } = held;
  for (const name of names) await waitFor(held, `signal:${name}`, name);
  await suspendOn(
    held,
    names.map((name) => `signal:${name}`),
    names.length,
  );
  await Promise.all(
    names.flatMap((name, index) =>
      [lab.client, client].map((one) =>
        rpc(one, SignalService.method.sendSignal, {
          runId,
          name,
          signalId: `id-${name}`,
          payload: json(index),
        }),
      ),
    ),
  );
  client.close();
  const next = await worker.next(runId, fence);
  const types = next.journal.map(({ type }) => type);
  expect(types.filter((type) => type === "workflow.signal.received")).toHaveLength(names.length);
  expect(types.filter((type) => type === "workflow.wait.resolved")).toHaveLength(names.length);
  expect(fenceOf(next)).toBe(fence + 2);
});

test.each(stores)(
  "%s: waiting runs take no slot and no memory; 10,000 and the server that took them: pnpm bench --only wait",
  async (kind) => {
    const readings: number[] = [];
    const later = Date.now() + 3_600_000;
    for (const count of [0, 4_000]) {
      const own = await startServer();
      await own.kill();
      const store = kind === "postgres" ? await createDatabase("waiting") : own.store;
      await seedSleepers(
        store,
        Array.from({ length: count }, () => later),
      );
      await using server = await startServer({ store });
      const client = connect(server.grpcAddress);
      const worker = await SessionWorker.open(client, { workflows: [workflowName] });
      await sleep(1_200);
      readings.push(readResidentMb(server.pid) ?? 0);
      const { workers } = await rpc(client, WorkerService.method.listWorkers, {});
      expect(workers.map(({ inFlight }) => inFlight)).toEqual([0]);
      expect((await waits(client, { kinds: [WaitKind.SLEEP], pageSize: 1 })).length).toBe(
        Math.min(1, count),
      );
      worker.close();
      client.close();
      await own.stop();
    }
    const [empty = 0, full = 0] = readings;
    console.log(`${kind}: ${empty.toFixed(1)} MB, with 4,000 waiting runs ${full.toFixed(1)} MB`);
    // For 10,000 it may be 30 MB; what differs between two servers anyway is of this order.
    expect(full - empty).toBeLessThan(15);
  },
);
