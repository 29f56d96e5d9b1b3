/**
 * A worker process for runs that have children: `family-worker.ts URL`. `family` has three at once,
 * which talk and have a child each that talks as well, and one that it leaves behind.
 */
import { setTimeout as pause } from "node:timers/promises";
import { silentLogger, Worker, workflow } from "@pawl/worker";

const [url = ""] = process.argv.slice(2);
// It must not outlive its test, however that ends.
process.stdin.on("end", () => process.exit()).resume();

const WORDS = 20;

async function* talk(name: string) {
  for (let word = 0; word < WORDS; word += 1) {
    await pause(4);
    yield `${name}.${word} `;
  }
}

const leaf = workflow("leaf", (ctx, n: number) => ctx.step("tell", () => talk(`leaf${n}`)));

const middle = workflow("middle", async (ctx, n: number) => {
  const own = await ctx.step("say", () => talk(`middle${n}`));
  return own.length + (await ctx.child(leaf, n)).length;
});

const idle = workflow("idle", (ctx) => ctx.sleep("1 h"));

const family = workflow("family", async (ctx) => {
  await ctx.spawn(idle, undefined);
  const each = [1, 2, 3].map((n) => () => ctx.child(middle, n, { key: n }));
  const lengths = await ctx.all(each);
  const last = await ctx.step("close", () => talk("family"));
  return { lengths, last: last.length };
});

const crowd = workflow("crowd", async (ctx, count: number) => {
  const list = Array.from({ length: count }, (_, n) => n);
  await ctx.map("each", list, (n, ctx) => ctx.child(leaf, n));
  return "all";
});

await new Worker({
  url,
  workflows: [leaf, middle, idle, family, crowd],
  logger: silentLogger,
  slots: 100,
}).start();
console.log("ready");
