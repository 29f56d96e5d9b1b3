/**
 * Runs with very many steps, which at the end wait in a last step for ever. The run `long` does the
 * last of its steps in turns with the run `short`, so that a slow moment falls on both.
 */
import { Worker, workflow } from "@pawl/worker";
import { serveCommands } from "../child.ts";
import { output } from "../payload.ts";
import { workflowName } from "./bench-runs.ts";

export type LongRunCommand =
  | { kind: "start"; address: string }
  /** Waits until this run is at its last step. */
  | { kind: "reach"; runId: string };

export interface LongRunTimes {
  /** Of each step of the run, in ms. */
  times: number[];
  /** From the first line of the workflow to its last step, in ms. */
  totalMs: number;
}

const longSteps = 10_000;
/** Steps of the short run before it is measured. */
const skippedSteps = 10;
/** How many steps are compared. */
const comparedSteps = 400;

/** Whether `long` and `short` take turns; not where they are only resumed. */
const inTurns = process.env.BENCH_IN_TURNS === "1";
const ended = new Map<string, PromiseWithResolvers<LongRunTimes>>();
let waiting: (() => void) | undefined;

/** Waits for the other run to do its step, and lets it continue. */
async function takeTurn(): Promise<void> {
  const other = waiting;
  const mine = new Promise<void>((resolve) => {
    waiting = resolve;
  });
  other?.();
  await mine;
}

function endOf(runId: string): PromiseWithResolvers<LongRunTimes> {
  const end = ended.get(runId) ?? Promise.withResolvers<LongRunTimes>();
  ended.set(runId, end);
  return end;
}

const long = workflow(workflowName, async (ctx) => {
  const begin = performance.now();
  const steps = ctx.runId === "short" ? skippedSteps + comparedSteps : longSteps;
  const times: number[] = [];
  for (let n = 1; n <= steps; n += 1) {
    const isCompared = n > steps - comparedSteps && ctx.runId !== "warm-up";
    if (isCompared && inTurns) await takeTurn();
    const stepBegin = performance.now();
    await ctx.step(`step-${n}`, () => output);
    times.push(performance.now() - stepBegin);
  }
  // The other one may have a turn to go.
  waiting?.();
  await ctx.step("last", () => {
    endOf(ctx.runId).resolve({ times, totalMs: performance.now() - begin });
    return new Promise<never>(() => undefined);
  });
});

async function start(address: string): Promise<void> {
  await new Worker({ url: `http://${address}`, workflows: [long], slots: 3 }).start();
}

serveCommands<LongRunCommand, unknown>((command) =>
  command.kind === "start" ? start(command.address) : endOf(command.runId).promise,
);
