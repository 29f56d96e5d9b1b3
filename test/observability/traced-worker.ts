/** A worker of the test of traces: URL, and `block` for one whose step `outer` never ends. */
import { trace } from "@opentelemetry/api";
import { constant, Worker, workflow } from "@pawl/worker";
import { MARKERS } from "./workload.ts";

const [url = "", mode = "go"] = process.argv.slice(2);
let tries = 0;

const child = workflow("traced-child", (ctx, input: string) =>
  ctx.step("answer", (step) => {
    step.modelCall({
      provider: "openai",
      model: "gpt-x",
      inputTokens: 12,
      outputTokens: 3,
      finishReasons: ["stop"],
    });
    step.modelCall({ provider: "openai", model: "gpt-x", inputTokens: 8, outputTokens: 1 });
    return input;
  }),
);

const parent = workflow("traced", async (ctx, input: { secret: string }) => {
  await ctx.step("first", () => MARKERS[1]);
  await ctx.step("outer", async (step) => {
    await step.step("inner", () =>
      trace.getTracer("user").startActiveSpan("own work", (span) => span.end()),
    );
    if (mode !== "block") return;
    console.log("blocked");
    await new Promise(() => setInterval(() => undefined, 1_000));
  });
  await ctx.step(
    "flaky",
    () => {
      tries += 1;
      if (tries === 1) throw new Error(`${MARKERS[2]} ${input.secret}`);
    },
    { retry: { maxAttempts: 3, backoff: constant(0.001) } },
  );
  await ctx.all([
    (branch) => branch.step("left", () => 1),
    (branch) => branch.step("right", () => 2),
  ]);
  await ctx.sleep("1500 ms", { name: "nap" });
  return ctx.child(child, MARKERS[1]);
});

const worker = new Worker({ url, workflows: [parent, child] });
await worker.start();
console.log("ready");
process.once("SIGTERM", () => void worker.stop());
