/** The worker of the command line's tests: one workflow for each thing that a run can do. */
import { existsSync } from "node:fs";
import { Worker, workflow } from "@pawl/worker";

/** Two steps, a short wait, output on the way. */
const greet = workflow("greet", async (ctx, { name }: { name: string }) => {
  const greeting = await ctx.step("compose", async function* () {
    yield "Hello, ";
    yield `${name}!`;
  });
  await ctx.sleep("50 ms", { name: "breath" });
  const length = await ctx.step("measure", () => greeting.length);
  return { greeting, length };
});

/** Fails until the file is there. */
const needs = workflow("needs", async (ctx, { file }: { file: string }) => {
  await ctx.step("before", () => "kept");
  return await ctx.step("look", () => {
    if (!existsSync(file)) throw new Error(`there is no ${file}`);
    return "found";
  });
});

/** Waits for a signal. */
const approve = workflow("approve", async (ctx) => {
  const answer = await ctx.signal("answer");
  return { answer };
});

/** Continues for about a minute, in short steps. */
const long = workflow("long", async (ctx) => {
  for (let index = 0; index < 600; index++) {
    await ctx.step("tick", () => new Promise((resolve) => setTimeout(resolve, 100)));
  }
});

const worker = new Worker({ workflows: [greet, needs, approve, long], workerId: "cli-worker" });
await worker.run();
