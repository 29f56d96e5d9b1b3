/**
 * Reminds somebody until it is done, or often enough: sends, sleeps, and is told. It may sleep for a
 * month; a run that sleeps is a row in the store and nothing else.
 */
import { duration, exponential, workflow } from "@pawl/worker";
import { z } from "zod";
import { act } from "../shared/ledger.ts";

const input = z.object({
  id: z.string().min(1),
  text: z.string().min(1),
  /** How long to sleep in between: `1 day`. */
  every: z.string().default("1 day"),
  /** Instead: when, as a cron expression such as `0 9 * * MON-FRI`. */
  cron: z.string().optional(),
  timeZone: z.string().default("UTC"),
  times: z.int().positive().default(5),
  /** The file that the mail service keeps. */
  outbox: z.string(),
});

const retry = { maxAttempts: 10, backoff: exponential({ base: 1, max: 300 }) };

export const reminder = workflow(
  "reminder",
  { input, id: "reminder-{id}", description: "Reminds somebody until it is done." },
  async (ctx, { text, every, cron, timeZone, times, outbox }) => {
    const sleep = () =>
      cron === undefined ? ctx.sleep(duration(every)) : ctx.sleepUntil({ cron, timeZone });

    for (let sent = 1; ; sent += 1) {
      await ctx.step("send", (step) => act(step, outbox, `${text} (${sent})`), { retry });
      if (sent === times) return { sent, done: false };
      // What loses the race is closed: no timer and no wait stays behind.
      const done = await ctx.race({
        told: () => ctx.signal("done").then(() => true),
        again: () => sleep().then(() => false),
      });
      if (done) return { sent, done };
    }
  },
);
