/**
 * A worker process to be stopped in the middle of a step: `half-open-worker.ts URL WORKFLOW MODE ID`.
 * Prints a line for each body that it executes, before and after.
 */
import { setTimeout as pause } from "node:timers/promises";
import { type Context, silentLogger, Worker, workflow } from "@pawl/worker";

const [url = "", name = "", mode = "", workerId = ""] = process.argv.slice(2);
// It must not outlive its test, however that ends.
process.stdin.on("end", () => process.exit()).resume();

const flow = workflow(name, async (ctx: Context) => {
  ctx.compensate("undo", () => console.log("undoes"));
  const by = (step: string, ms: number) =>
    ctx.step(step, async () => {
      console.log(`begins ${step}`);
      await pause(ms);
      console.log(`ends ${step}`);
      return `${step} by ${workerId}`;
    });
  return [await by("a", 1), await by("b", 500), await by("c", 1)].join(", ");
});

await new Worker({
  url,
  workflows: [flow],
  workerId,
  mode: mode === "poll" ? "poll" : "stream",
  logger: silentLogger,
}).start();
console.log("ready");
