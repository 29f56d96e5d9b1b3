/**
 * Cleans a table together with a person: round by round it says what is wrong, the person says
 * what to repair, and what that uncovers is the next round's. Nothing is written before the person
 * has agreed to the whole.
 */
import { workflow } from "@pawl/worker";
import { z } from "zod";
import { pace } from "../shared/ledger.ts";
import { profile, repair } from "./quality.ts";
import { readTable, writeTable } from "./table.ts";

const input = z.object({
  id: z.string().min(1),
  /** A CSV file with column names in its first line. */
  file: z.string(),
  output: z.string(),
  /** Who is asked; nobody named: anybody. */
  steward: z.string().optional(),
});

export const dataQuality = workflow(
  "data-quality",
  { input, id: "data-quality-{id}", description: "Cleans a table together with a person." },
  async (ctx, { file, output, steward }) => {
    const people = steward === undefined ? {} : { assignees: steward };
    const repaired: string[] = [];
    let table = await ctx.step("read", () => readTable(file));

    for (let round = 1; ; round += 1) {
      const findings = await ctx.step("profile", () => profile(table));
      if (findings.length === 0) break;
      const chosen = await ctx.waitForUser(`Round ${round}: what shall be repaired?`, {
        type: "multichoice",
        options: findings.map(({ id, says }) => ({ value: id, label: says })),
        ...people,
      });
      if (chosen.length === 0) break; // good enough, says the person
      table = await ctx.step("repair", async (step) => {
        await pace(step, `round ${round}: repairing ${chosen.join(", ")}`);
        return repair(table, chosen);
      });
      repaired.push(...chosen);
    }

    const rows = table.rows.length;
    const verdict = await ctx.waitForUser(`Write ${rows} rows to ${output}?`, {
      type: "approval",
      ...people,
    });
    if (verdict.approved) await ctx.step("write", () => writeTable(output, table));
    return { repaired, rows, written: verdict.approved, by: verdict.actor };
  },
);
