/** A worker that notes each execution of a step in a file: URL, file, mode. */
import { appendFileSync } from "node:fs";
import { setTimeout as sleep } from "node:timers/promises";
import { Client, Worker, workflow } from "../../src/index.ts";

const [url = "", file = "", mode = "stream"] = process.argv.slice(2);

function note(text: string): void {
  appendFileSync(file, `${text}\n`);
}

export const crashy = workflow("crashy", async (ctx, input: { steps: number; ms: number }) => {
  const done: number[] = [];
  for (let i = 0; i < input.steps; i += 1) {
    done.push(
      await ctx.step("s", async (s) => {
        note(`start ${s.runId} ${s.stepKey}`);
        note(`at ${s.stepKey} ${process.pid}`);
        await sleep(input.ms);
        note(`end ${s.runId} ${s.stepKey}`);
        return i;
      }),
    );
  }
  return done;
});

export const once = workflow("once", (ctx) =>
  ctx.step(
    "charge",
    async () => {
      note("charge");
      await sleep(60_000);
    },
    { recovery: "at_most_once" },
  ),
);

if (mode === "claim") {
  const client = new Client({ url });
  console.log("ready");
  const result = await client.execute(
    crashy,
    { steps: 5, ms: 100 },
    { runId: "claimed", leaseWait: "30 s" },
  );
  note(`result ${JSON.stringify(result)}`);
  client.close();
} else {
  const worker = new Worker({
    url,
    workflows: [crashy, once],
    mode: mode === "poll" ? "poll" : "stream",
    slots: 10,
  });
  await worker.start();
  console.log("ready");
  process.once("SIGTERM", () => void worker.stop());
}
