/**
 * A worker process whose steps talk: `talker.ts URL`. Each of `rounds` rounds has two steps that run
 * at once and yield `words` words each; the first attempt of every third round's left one fails
 * after half of them.
 */
import { setTimeout as pause } from "node:timers/promises";
import { constant, silentLogger, Worker, workflow } from "@pawl/worker";

const [url = ""] = process.argv.slice(2);
// It must not outlive its test, however that ends.
process.stdin.on("end", () => process.exit()).resume();

interface Talk {
  readonly rounds: number;
  readonly words: number;
}

const talk = workflow("talk", async (ctx, { rounds, words }: Talk) => {
  for (let round = 0; round < rounds; round += 1) {
    const say = (side: string, fails: boolean) =>
      ctx.step(
        `${side}${round}`,
        async function* ({ attempt }) {
          for (let word = 0; word < words; word += 1) {
            await pause(3);
            if (fails && attempt === 1 && word > words / 2) throw new Error("lost the thread");
            yield `${side}${round}.${word} `;
          }
        },
        { retry: { maxAttempts: 5, backoff: constant(0.05) } },
      );
    await Promise.all([say("left", round % 3 === 0), say("right", false)]);
  }
  return "done";
});

await new Worker({ url, workflows: [talk], logger: silentLogger }).start();
console.log("ready");
