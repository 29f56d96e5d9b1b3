/**
 * A batch: pictures of which some cannot be read are resized, a few at a time. Each item is a child
 * run of its own with its own retries, so that one that fails is a line in the report and not the end of
 * the batch; how far it is can be watched. A batch that is cancelled takes its items with it.
 */
import { appendFile } from "node:fs/promises";
import { join } from "node:path";
import { setTimeout as pause } from "node:timers/promises";
import { constant, StepFailedError, TerminalError, workflow } from "@pawl/worker";
import { z } from "zod";

const picture = z.object({ name: z.string().min(1), bytes: z.int().nonnegative() });

const resizeInput = z.object({ picture, dir: z.string(), paceMs: z.int().nonnegative() });

export const resize = workflow(
  "batch-resize",
  {
    input: resizeInput,
    // Over all batches: no more than this many pictures are held in memory at once.
    concurrency: 4,
    description: "One picture of a batch.",
  },
  async (ctx, { picture: { name, bytes }, dir, paceMs }) => {
    const read = await ctx.step(
      "read",
      () => {
        if (bytes === 0) throw new TerminalError(`${name} is empty`);
        return bytes;
      },
      { retry: { maxAttempts: 3, backoff: constant(0.1) } },
    );
    return ctx.step("resize", async (step) => {
      await pause(paceMs, undefined, { signal: step.abortSignal });
      await appendFile(join(dir, "resized.txt"), `${name}\n`);
      return Math.ceil(read / 4);
    });
  },
);

const input = z.object({
  pictures: z.array(picture).min(1).max(10_000),
  /** Where `resized.txt` is written. */
  dir: z.string(),
  /** Items under way at the same time. */
  concurrency: z.int().positive().default(3),
  /** How long a picture takes, in ms. */
  paceMs: z.int().nonnegative().default(0),
});

export const batch = workflow(
  "batch",
  { input, description: "Many pictures, a few at a time; those that fail are told of." },
  async (ctx, { pictures, dir, concurrency, paceMs }) => {
    let done = 0;
    const outcomes = await ctx.map(
      "picture",
      pictures,
      { key: ({ name }) => name, concurrency },
      async (item, ctx) => {
        const outcome = await ctx
          .child(resize, { picture: item, dir, paceMs })
          .then((bytes) => ({ name: item.name, bytes }))
          .catch((error: unknown) => {
            // Being cancelled is the batch's affair, not this item's.
            if (!(error instanceof StepFailedError)) throw error;
            return { name: item.name, problem: error.message };
          });
        // In a step, so that it is told once: the batch itself is replayed whenever an item has ended.
        const count = ++done;
        await ctx.step("tell", (step) => step.progress(count, pictures.length, item.name));
        return outcome;
      },
    );
    const failed = outcomes.filter((outcome) => "problem" in outcome);
    const bytes = outcomes.reduce((sum, one) => sum + ("bytes" in one ? one.bytes : 0), 0);
    return { resized: outcomes.length - failed.length, bytes, failed };
  },
);
