/**
 * A worker process that one of its steps kills: `deadly-worker.ts URL DELAY CRASHES`. The step
 * says which attempt it is, and dies DELAY ms later, at once where that is 0; CRASHES deaths stop it.
 */
import { setTimeout as pause } from "node:timers/promises";
import { silentLogger, Worker, workflow } from "@pawl/worker";

const [url = "", delay = "0", crashes = "3"] = process.argv.slice(2);
// It must not outlive its test, however that ends.
process.stdin.on("end", () => process.exit()).resume();

const deadly = workflow("deadly", async (ctx) => {
  await ctx.step("before", () => "done");
  return ctx.step(
    "kills",
    async ({ attempt }) => {
      process.stdout.write(`kills ${attempt}\n`);
      if (delay !== "0") await pause(Number(delay));
      process.kill(process.pid, "SIGKILL");
      await pause(10_000);
    },
    { retry: { maxAttempts: 2, maxCrashes: Number(crashes) } },
  );
});

const healthy = workflow("healthy", async (ctx) => {
  for (const name of ["a", "b", "c"]) await ctx.step(name, () => pause(300));
  return "well";
});

await new Worker({ url, workflows: [deadly, healthy], logger: silentLogger }).start();
console.log("ready");
