/**
 * Goal: a worker that hangs half-open loses its runs when the lease is over, and can write nothing
 * when it wakes; a run continues elsewhere, and so does its clean-up.
 * Method: real worker processes stopped with SIGSTOP in the middle of a step, and continued with
 * SIGCONT after another worker has ended their runs.
 */
import { type ChildProcess, spawn } from "node:child_process";
import { join } from "node:path";
import { createInterface } from "node:readline";
import { RunService, RunStatus } from "@pawl/proto";
import { expect, test } from "vitest";
import { connect, rpc } from "../harness/protocol.ts";
import { startServer } from "../harness/server.ts";
import { fenceOf, json, jsonOf, Lab, ms, refused, STEP, sleep, stores } from "./lab.ts";

const script = join(import.meta.dirname, "half-open-worker.ts");
const modes = ["stream", "poll"] as const;
/** The lease, and what a busy machine adds. */
const TAKEN_WITHIN_MS = 25_000;

class WorkerProcess implements AsyncDisposable {
  readonly said: string[] = [];
  readonly #child: ChildProcess;

  constructor(url: string, flow: string, mode: string, workerId: string) {
    this.#child = spawn(process.execPath, [script, url, flow, mode, workerId], {
      stdio: ["pipe", "pipe", "inherit"],
    });
    const { stdout } = this.#child;
    if (stdout !== null)
      createInterface({ input: stdout }).on("line", (line) => this.said.push(line));
  }

  async says(line: string): Promise<void> {
    for (let waited = 0; !this.said.includes(line); waited += 10) {
      if (waited > 40_000)
        throw new Error(`The worker did not say "${line}", but: ${this.said.join("; ")}`);
      await sleep(10);
    }
  }

  signal(signal: NodeJS.Signals): void {
    this.#child.kill(signal);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    const ended = new Promise((resolve) => this.#child.once("exit", resolve));
    this.#child.kill("SIGKILL");
    await ended;
  }
}

test.concurrent.each(stores)(
  "a worker that wakes after its lease was taken can write nothing, on %s",
  async (store) => {
    await using lab = await Lab.open(store);
    await Promise.all(
      modes.map(async (mode) => {
        const flow = `flow-${mode}`;
        const runId = `run-${mode}`;
        await using victim = new WorkerProcess(lab.server.grpcUrl, flow, mode, `victim-${mode}`);
        await victim.says("ready");
        await lab.start({ workflow: flow, runId });
        await victim.says("begins b");
        victim.signal("SIGSTOP");
        const stopped = performance.now();
        const { fence } = await lab.run(runId);
        const rescuer = await lab.worker("session", flow);
        const item = await within(rescuer.next(runId, fence), TAKEN_WITHIN_MS);
        const took = performance.now() - stopped;
        console.log(
          `${store}, ${mode}: taken from the stopped worker after ${Math.round(took)} ms`,
        );
        // Not before its time, either: a stopped worker may have renewed up to 5 s before.
        expect(took).toBeGreaterThan(8_000);
        const lease = fenceOf(item);
        expect(
          item.journal
            .filter(({ type }) => type === "workflow.step.completed")
            .map(({ stepKey }) => stepKey),
        ).toEqual(["a"]);
        const { outcome } = await rescuer.stepStarted({
          runId,
          fence: lease,
          stepKey: "b",
          kind: STEP,
        });
        expect(outcome.case).toBe("execute");
        const attempt = outcome.case === "execute" ? outcome.value.attempt : 0;
        victim.signal("SIGCONT");
        await victim.says("ends b");
        await sleep(1_000);
        await rescuer.stepCompleted({
          runId,
          fence: lease,
          stepKey: "b",
          attempt,
          output: json("b by rescuer"),
        });
        await rescuer.completeRun({ runId, fence: lease, output: json("rescued") });
        const run = await lab.run(runId);
        expect(run.status).toBe(RunStatus.COMPLETED);
        expect(jsonOf(run.output)).toBe("rescued");
        const completed = (await lab.journal(runId)).filter(
          ({ type }) => type === "workflow.step.completed",
        );
        expect(completed.map(({ stepKey, workerId }) => [stepKey, workerId])).toEqual([
          ["a", `victim-${mode}`],
          ["b", rescuer.workerId],
        ]);
        expect(victim.said).not.toContain("begins c");
        const late = rescuer.completeRun({ runId, fence, output: json("late") });
        await expect(late).rejects.toMatchObject(refused("LEASE_LOST"));
        // It is as good as new.
        rescuer.close();
        const next = `next-${mode}`;
        await lab.start({ workflow: flow, runId: next });
        const done = await lab.until(next, ({ status }) => status === RunStatus.COMPLETED);
        expect(jsonOf(done.output)).toBe(
          `a by victim-${mode}, b by victim-${mode}, c by victim-${mode}`,
        );
      }),
    );
  },
);

test.concurrent.each(stores)(
  "a worker that hangs at the cancel does not use up the grace, on %s",
  async (store) => {
    await using lab = await Lab.open(store);
    await Promise.all(
      modes.map(async (mode) => {
        const flow = `flow-${mode}`;
        const runId = `run-${mode}`;
        await using victim = new WorkerProcess(lab.server.grpcUrl, flow, mode, `victim-${mode}`);
        await victim.says("ready");
        await lab.start({ workflow: flow, runId });
        await victim.says("begins b");
        victim.signal("SIGSTOP");
        // What it sent before is on its way.
        await sleep(500);
        await rpc(lab.client, RunService.method.cancelRun, { runId, grace: ms(1_000) });
        await sleep(3_000);
        expect((await lab.run(runId)).status).toBe(RunStatus.CANCELLING);
        await using other = new WorkerProcess(lab.server.grpcUrl, flow, mode, `other-${mode}`);
        await other.says("undoes");
        const run = await lab.until(runId, ({ status }) => status === RunStatus.CANCELLED);
        expect(run.undone).toBeUndefined();
        victim.signal("SIGCONT");
        await sleep(1_000);
        expect(victim.said).not.toContain("undoes");
      }),
    );
  },
);

test.concurrent.each(modes)(
  "a worker that stood still while its server was restarted starts nothing of a run that continued, by %s",
  async (mode) => {
    await using first = await startServer();
    const { store, grpcAddress: grpc, httpAddress: http, grpcUrl } = first;
    const flow = `flow-${mode}`;
    await using victim = new WorkerProcess(grpcUrl, flow, mode, "victim");
    await victim.says("ready");
    const client = connect(grpc);
    await rpc(client, RunService.method.startRun, { workflow: flow, runId: "r", input: json(1) });
    await victim.says("begins b");
    victim.signal("SIGSTOP");
    client.close();
    await first.kill();
    await using second = await startServer({ store, grpc, http });
    await using other = new WorkerProcess(second.grpcUrl, flow, mode, "other");
    await other.says("ends c");
    victim.signal("SIGCONT");
    await victim.says("ends b");
    await sleep(2_000);
    expect(victim.said).not.toContain("begins c");
    const again = connect(grpc);
    const { run } = await rpc(again, RunService.method.waitRun, { runId: "r" });
    again.close();
    expect(jsonOf(run?.output)).toBe("a by victim, b by other, c by other");
  },
);

async function within<T>(promise: Promise<T>, ms: number): Promise<T> {
  let timer: NodeJS.Timeout | undefined;
  const late = new Promise<never>((_, reject) => {
    timer = setTimeout(() => reject(new Error(`Not within ${ms} ms.`)), ms);
  });
  try {
    return await Promise.race([promise, late]);
  } finally {
    clearTimeout(timer);
  }
}
