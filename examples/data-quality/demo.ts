/**
 * Cleans data-quality/people.csv, with server, worker and a person in this process, who has gaps
 * filled last: `node examples/data-quality/demo.ts`.
 */
import { readFile } from "node:fs/promises";
import { join } from "node:path";
import { nextQuestion, openStage } from "../shared/stage.ts";
import { dataQuality } from "./workflow.ts";

await using stage = await openStage([dataQuality]);
const { client, dir } = stage;
const file = join(import.meta.dirname, "people.csv");
const output = join(dir, "clean.csv");
const run = await client.start(dataQuality, { id: "people", file, output });

for (;;) {
  const asked = await nextQuestion(client, run.runId);
  if (asked === undefined) break;
  const { prompt = "", type, options = [] } = asked.question ?? {};
  console.log(prompt);
  for (const { label } of options) console.log(`  ${label}`);
  const gapless = options.filter(({ value }) => !value.startsWith("gaps"));
  const chosen = (gapless.length > 0 ? gapless : options).map(({ value }) => value);
  await client.answer(asked.waitId, type === "approval" ? true : chosen, { actor: "grace" });
}
console.log(await run.result());
console.log(await readFile(output, "utf8"));
