/** Runs with very many steps, which at the end wait in a last step for ever. */
import { Worker, workflow } from "@pawl/worker";
import { serveCommands } from "../child.ts";
import { output } from "../payload.ts";
import { workflowName } from "./runs.ts";

export type LongRunCommand =
  | { kind: "start"; address: string }
  /** Waits until another run is at its last step. */
  | { kind: "reach"; steps: number }
  /** Waits until a run that was begun elsewhere is at its last step. */
  | { kind: "resume" };

export interface LongRunTimes {
  /** Of each step of the run, in ms. */
  times: number[];
  /** From the first line of the workflow to its last step, in ms. */
  resumeMs: number;
}

const steps = Number(process.env.BENCH_STEPS ?? "10000");
const ended: LongRunTimes[] = [];
let onEnd: (() => void) | undefined;

const long = workflow(workflowName, async (ctx) => {
  const begin = performance.now();
  const times: number[] = [];
  for (let n = 1; n <= steps; n += 1) {
    const stepBegin = performance.now();
    await ctx.step(`step-${n}`, () => output);
    times.push(performance.now() - stepBegin);
  }
  await ctx.step("last", () => {
    ended.push({ times, resumeMs: performance.now() - begin });
    onEnd?.();
    return new Promise<never>(() => undefined);
  });
});

async function next(): Promise<LongRunTimes> {
  for (;;) {
    const run = ended.shift();
    if (run !== undefined) return run;
    await new Promise<void>((resolve) => {
      onEnd = resolve;
    });
  }
}

async function start(address: string): Promise<void> {
  await new Worker({ url: `http://${address}`, workflows: [long], slots: 2 }).start();
}

serveCommands<LongRunCommand, unknown>((command) =>
  command.kind === "start" ? start(command.address) : next(),
);
