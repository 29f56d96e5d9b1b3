/**
 * Two reminders, with server and worker in this process: `node examples/reminder/demo.ts`. The first
 * one is heeded after its second mail, the other by nobody.
 */
import { join } from "node:path";
import { readLedger } from "../shared/ledger.ts";
import { openStage } from "../shared/stage.ts";
import { reminder } from "./workflow.ts";

await using stage = await openStage([reminder]);
const { client, dir } = stage;
const outbox = join(dir, "outbox.jsonl");
const [plants, taxes] = await Promise.all([
  client.start(reminder, { id: "plants", text: "Water the plants", every: "1.2 s", outbox }),
  client.start(reminder, {
    id: "taxes",
    text: "Tax return",
    cron: "* * * * * *",
    times: 3,
    outbox,
  }),
]);

while (!(await readLedger(outbox)).includes("Water the plants (2)"))
  await new Promise((next) => setTimeout(next, 50));
await plants.signal("done");

console.log(plants.runId, await plants.result());
console.log(taxes.runId, await taxes.result());
