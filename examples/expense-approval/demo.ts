/**
 * Three expenses, with server, worker and approvers in this process:
 * `node examples/expense-approval/demo.ts`. The director does not like sculptures.
 */
import { join } from "node:path";
import { readLedger } from "../shared/ledger.ts";
import { nextQuestion, openStage } from "../shared/stage.ts";
import { expense } from "./workflow.ts";

await using stage = await openStage([expense]);
const { client, dir } = stage;
const ledger = join(dir, "ledger.jsonl");

for (const { amount, what } of [
  { amount: 80, what: "a keyboard" },
  { amount: 5_000, what: "a server" },
  { amount: 20_000, what: "a sculpture" },
]) {
  const id = what.replace(/^a /, "");
  const run = await client.start(expense, { id, who: "Ada", amount, what, ledger });
  for (;;) {
    const asked = await nextQuestion(client, run.runId);
    if (asked === undefined) break;
    const { prompt = "", assignees: [actor = ""] = [] } = asked.question ?? {};
    const approved = !(actor === "director" && prompt.includes("sculpture"));
    console.log(`${actor}: ${prompt} ${approved ? "Yes." : "No, we have one."}`);
    await client.answer(asked.waitId, approved, {
      actor,
      ...(approved ? {} : { comment: "we have one" }),
    });
  }
  console.log(await run.result(), "\n");
}
console.log((await readLedger(ledger)).join("\n"));
