/**
 * A worker process whose code says something between its steps: `noter.ts URL`. Its last step ends
 * only as the third attempt: the ones before are for killing.
 */
import { silentLogger, Worker, workflow } from "@pawl/worker";

const [url = ""] = process.argv.slice(2);
// It must not outlive its test, however that ends.
process.stdin.on("end", () => process.exit()).resume();

const notes = workflow("notes", async (ctx) => {
  await ctx.step("a", async () => 1);
  ctx.emit("note", "kept for a while");
  ctx.emit("note", "kept for good", { keep: "durable" });
  ctx.log("info", "logged");
  await ctx.step("b", async ({ attempt, abortSignal }) => {
    if (attempt > 2) return;
    await new Promise((resolve) => abortSignal.addEventListener("abort", resolve));
  });
  ctx.emit("note", "said once anyway");
});

await new Worker({ url, workflows: [notes], logger: silentLogger }).start();
console.log("ready");
