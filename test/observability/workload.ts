/** A little of everything that a server can be busy with, with known numbers. */
import { Client, constant, silentLogger, TerminalError, Worker, workflow } from "@pawl/worker";

/** What must never be seen outside of the journal. */
export const MARKERS = ["marker-input-91c2", "marker-output-4be7", "marker-failure-d05a"] as const;

let flaky = 0;

const child = workflow("observed-child", (ctx) => ctx.step("inner", () => 1));

const parent = workflow("observed", async (ctx, input: { secret: string }) => {
  await ctx.step("first", () => MARKERS[1]);
  await ctx.step(
    "flaky",
    () => {
      flaky += 1;
      if (flaky % 2 === 1) throw new Error(`${MARKERS[2]} ${input.secret}`);
      return "fine";
    },
    { retry: { maxAttempts: 3, backoff: constant(0.001) } },
  );
  await ctx.sleep("20 ms");
  await ctx.child(child, undefined);
  return MARKERS[1];
});

const failing = workflow("observed-failing", (ctx) =>
  ctx.step("boom", () => {
    throw new TerminalError(MARKERS[2]);
  }),
);

/** Of one `workload`. */
export const DONE = {
  runsCompleted: 2,
  runsFailed: 1,
  stepsCompleted: 3,
  stepsFailed: 1,
  attemptsFailed: 2,
  retries: 1,
} as const;

/** Runs all of it once, with a worker of its own. */
export async function workload(url: string): Promise<void> {
  const client = new Client({ url, logger: silentLogger });
  const worker = new Worker({ url, workflows: [child, parent, failing], logger: silentLogger });
  await worker.start();
  try {
    await client.run(parent, { secret: MARKERS[0] });
    const failed = await client.start(failing, undefined);
    await failed.result().catch(() => undefined);
  } finally {
    await worker.stop();
    client.close();
  }
}
