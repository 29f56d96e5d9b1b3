/**
 * A worker process whose steps are agents: `agents-worker.ts URL`. `write` has an agent that asks two
 * others at once and one after them. In the run's first lease the first step never gets further than
 * that; in its second the one after it does not.
 */
import { setTimeout as pause } from "node:timers/promises";
import { agent, event, type StepContext, silentLogger, Worker, workflow } from "@pawl/worker";

const [url = ""] = process.argv.slice(2);
// It must not outlive its test, however that ends.
process.stdin.on("end", () => process.exit()).resume();

const reader = agent("reader", async function* (topic: string) {
  yield event("lm.message.start");
  for (const word of ["read", " about ", topic]) {
    await pause(3);
    yield event("lm.message.delta", word);
  }
  yield event("lm.message.stop");
  return { topic, notes: topic.length };
});

const writer = agent("writer", async function* (ctx: StepContext, topics: readonly string[]) {
  const notes = await ctx.all(topics.map((topic) => () => ctx.stream(reader(topic))));
  const last = yield* reader("the end");
  yield event("tool.call.started", { tool: "count" });
  yield event("tool.call.delta", "1");
  yield event("tool.call.completed");
  yield event("lm.thinking.delta", "hm");
  if (ctx.runAttempt === 1) await new Promise<never>(() => undefined);
  ctx.emit("mood", "content");
  return [...notes, last].map(({ notes }) => notes);
});

const write = workflow("write", async (ctx) => {
  const numbers = await ctx.step("write", (s) => writer(s, ["cats", "mice"]));
  const text = await ctx.step("after", async function* ({ runAttempt }) {
    yield event("lm.message.delta", "aside");
    yield "text";
    if (runAttempt === 2) await new Promise<never>(() => undefined);
  });
  return { numbers, text };
});

await new Worker({ url, workflows: [write], logger: silentLogger }).start();
console.log("ready");
