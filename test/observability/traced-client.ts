/** A client of the test of traces: starts a run and waits for its result. */
import { Client } from "@pawl/worker";
import { MARKERS } from "./workload.ts";

const [url = "", runId = ""] = process.argv.slice(2);
const client = new Client({ url });
const run = await client.start("traced", { secret: MARKERS[0] }, { runId });
console.log("started");
await run.result();
client.close();
