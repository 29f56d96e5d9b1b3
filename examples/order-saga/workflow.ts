/**
 * An order: stock is reserved, the card is charged, a courier is booked and picks the parcel up. What
 * was done is undone in reverse when a later part fails, or when the order is cancelled.
 */
import { setTimeout as pause } from "node:timers/promises";
import { exponential, type StepContext, TerminalError, workflow } from "@pawl/worker";
import { z } from "zod";
import { act, type Deed } from "./shop.ts";

const input = z.object({
  orderId: z.string().min(1),
  /** In cents. */
  amount: z.int().positive(),
  /** Where stock, bank and courier keep their books. */
  dir: z.string(),
  /** No courier has room for it. */
  tooLarge: z.boolean().default(false),
  /** How long each of them takes, in ms. */
  paceMs: z.int().nonnegative().default(0),
});

const retry = { maxAttempts: 5, backoff: exponential({ base: 1, max: 30 }) };

export const order = workflow(
  "order-saga",
  { input, id: "order-{orderId}", description: "An order that is undone when it fails." },
  async (ctx, { orderId, amount, dir, tooLarge, paceMs }) => {
    const ask = (deed: Deed) => async (step: StepContext) => {
      console.log(`${deed} ${orderId}`);
      await pause(paceMs, undefined, { signal: step.abortSignal });
      return act(dir, { deed, orderId, amount, key: step.idempotencyKey });
    };

    const reservation = await ctx.step("reserve stock", ask("reserve"), { retry });
    ctx.compensate("release stock", ask("release"), { retry });

    const payment = await ctx.step("charge card", ask("charge"), { retry });
    ctx.compensate("refund", ask("refund"), { retry });

    const booking = await ctx.step(
      "book courier",
      (step) => {
        if (tooLarge) throw new TerminalError("no courier has room for this parcel");
        return ask("book")(step);
      },
      { retry },
    );
    ctx.compensate("unbook courier", ask("unbook"), { retry });

    // The customer may cancel until then; the run holds no worker meanwhile.
    await ctx.signal("picked up", { timeout: "30 days" });
    return { reservation, payment, booking };
  },
);
