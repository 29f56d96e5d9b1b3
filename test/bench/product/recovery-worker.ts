/**
 * A worker whose steps tell the bench when they run: for recovery, and for the time from a start
 * to its first step.
 *
 * Commands: `start` connects; `startRuns` starts runs one after the other and returns how long each
 * took to its first step.
 */
import { setTimeout as sleep } from "node:timers/promises";
import { Client, Worker, workflow } from "@pawl/worker";
import { serveCommands } from "../child.ts";
import { workflowName } from "./bench-runs.ts";

export type RecoveryCommand =
  | { kind: "start"; address: string; slots: number }
  | { kind: "startRuns"; count: number }
  | { kind: "stepsSince"; at: number };

/** By run id: when the first step since the given moment started, in ms since the epoch. */
export type StepTimes = Readonly<Record<string, number>>;

/** How long a step takes, in ms; 0: as long as it takes to return. */
const stepMs = Number(process.env.BENCH_STEP_MS ?? "0");
const steps = Number(process.env.BENCH_STEPS ?? "1");
/** When each step started, by run id. */
const begun = new Map<string, number[]>();
let onStep: ((runId: string) => void) | undefined;
let client: Client | undefined;

const ticking = workflow(workflowName, async (ctx) => {
  for (let n = 1; n <= steps; n += 1) {
    await ctx.step(`step-${n}`, async () => {
      begun.set(ctx.runId, [...(begun.get(ctx.runId) ?? []), now()]);
      onStep?.(ctx.runId);
      if (stepMs > 0) await sleep(stepMs);
      return n;
    });
  }
});

/** Since the epoch, in ms with fractions: comparable between processes of one machine. */
function now(): number {
  return performance.timeOrigin + performance.now();
}

async function start(address: string, slots: number): Promise<void> {
  const url = `http://${address}`;
  client = new Client({ url });
  await new Worker({ url, workflows: [ticking], slots }).start();
}

/** From the call of `start` until the first step's code runs, in ms. */
async function startRuns(count: number): Promise<number[]> {
  const times: number[] = [];
  for (let n = 0; n < count; n += 1) {
    const began = Promise.withResolvers<void>();
    onStep = () => began.resolve();
    const begin = performance.now();
    const run = await client?.start(ticking, {});
    await began.promise;
    times.push(performance.now() - begin);
    onStep = undefined;
    await run?.result();
  }
  return times;
}

function stepsSince(at: number): StepTimes {
  const first = [...begun].flatMap(([runId, times]) => {
    const time = times.find((time) => time >= at);
    return time === undefined ? [] : [[runId, time] as const];
  });
  return Object.fromEntries(first);
}

serveCommands<RecoveryCommand, unknown>(async (command) => {
  switch (command.kind) {
    case "start":
      return start(command.address, command.slots);
    case "startRuns":
      return startRuns(command.count);
    case "stepsSince":
      return stepsSince(command.at);
  }
});
