/**
 * An expense that people have to approve: the amount says who, one after the other. A rejection ends
 * it, and those further up are not asked. It may take two weeks; no worker is held meanwhile.
 */
import { chainByAmount, exponential, workflow } from "@pawl/worker";
import { z } from "zod";
import { act } from "../shared/ledger.ts";

const input = z.object({
  id: z.string().min(1),
  who: z.string().min(1),
  /** In EUR. */
  amount: z.number().positive(),
  what: z.string().min(1),
  /** The file that the bank and the mail service keep. */
  ledger: z.string(),
});

const levels = [
  { approvers: "manager" },
  { from: 1_000, approvers: "director" },
  { from: 10_000, approvers: "vp" },
];

const retry = { maxAttempts: 5, backoff: exponential({ base: 1, max: 30 }) };

export const expense = workflow(
  "expense",
  { input, id: "expense-{id}", description: "An expense that people have to approve." },
  async (ctx, { id, who, amount, what, ledger }) => {
    const outcome = await ctx.approval(`Pay ${who} ${amount} EUR for ${what}?`, {
      chain: chainByAmount(amount, levels),
      reminders: ["1 day", "3 days"],
      timeout: "14 days",
      default: "rejected",
    });
    const by = outcome.votes.map(({ actor }) => actor);
    const reason = outcome.timedOut ? "nobody decided" : (outcome.votes.at(-1)?.comment ?? "");

    if (!outcome.approved) {
      const letter = `to ${who}: no to ${what}, says the ${outcome.round}: ${reason}`;
      await ctx.step("tell", (step) => act(step, ledger, letter), { retry });
      return { id, paid: false, by, reason };
    }
    await ctx.step("pay", (step) => act(step, ledger, `paid ${who} ${amount} EUR`), { retry });
    return { id, paid: true, by, reason };
  },
);
