/**
 * A worker whose wall-clock is wrong: `skewed-worker.ts URL WORKFLOW MS`. Prints a line when it is
 * ready. The clock is set before anything else is loaded.
 */
const [url = "", name = "", skewMs = "0"] = process.argv.slice(2);
const RightDate = Date;
const now = (): number => RightDate.now() + Number(skewMs);

globalThis.Date = new Proxy(RightDate, {
  construct: (target, args: [] | [number]) =>
    args.length === 0 ? new target(now()) : new target(...args),
  get: (target, property) => (property === "now" ? now : Reflect.get(target, property)),
});

const { silentLogger, Worker, workflow } = await import("@pawl/worker");
// It must not outlive its test, however that ends.
process.stdin.on("end", () => process.exit()).resume();

let attempts = 0;

const flow = workflow(name, async (ctx) => {
  await ctx.sleep("1.1s");
  const failOnce = (): void => {
    attempts += 1;
    if (attempts === 1) throw new Error("once");
  };
  await ctx.step("flaky", failOnce, { retry: { maxAttempts: 2, backoff: ["2.1s"] } });
  const answer = await ctx.signal("never", { timeout: "0.3s", default: "none" });
  return { answer, clock: Date.now() };
});

await new Worker({ url, workflows: [flow], logger: silentLogger }).start();
console.log("ready");
