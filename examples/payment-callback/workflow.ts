/**
 * A payment that another company handles: it is told a URL, and calls that when the customer has
 * paid, in a second or in an hour. The run holds no worker meanwhile, and the URL survives all
 * crashes.
 */
import { duration, exponential, workflow } from "@pawl/worker";
import { z } from "zod";
import { pace } from "../shared/ledger.ts";

const input = z.object({
  orderId: z.string().min(1),
  /** In cents. */
  amount: z.int().positive(),
  /** Where the provider takes orders. */
  provider: z.url(),
  /** For how long the customer may take. */
  patience: z.string().default("1 hour"),
});

const retry = { maxAttempts: 8, backoff: exponential({ base: 1, max: 30 }) };

interface Paid {
  readonly reference: string;
}

export const payment = workflow(
  "payment",
  { input, id: "payment-{orderId}", description: "A payment that calls back." },
  async (ctx, { orderId, amount, provider, patience }) => {
    const paid = await ctx.callback<Paid, null>("paid", {
      timeout: duration(patience),
      default: null,
    });

    await ctx.step(
      "ask provider",
      async (step) => {
        const response = await fetch(provider, {
          method: "POST",
          headers: { "content-type": "application/json", "idempotency-key": step.idempotencyKey },
          body: JSON.stringify({ orderId, amount, callbackUrl: paid.url }),
          signal: step.abortSignal,
        });
        if (!response.ok) throw new Error(`the provider says ${response.status}`);
        await pace(step, `asked for the payment of ${orderId}`);
      },
      { retry },
    );

    const answer = await paid.result();
    if (answer === null) return { orderId, paid: false };
    const receipt = await ctx.step("write receipt", () => `${orderId}: ${answer.reference}`);
    return { orderId, paid: true, receipt };
  },
);
