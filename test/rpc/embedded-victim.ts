/** Claims a run of the store that it is given, says so, and holds it until it is killed. */
import { createClient } from "@connectrpc/connect";
import { RunService } from "@pawl/proto";
import { createEmbedded } from "@pawl/server";

const server = await createEmbedded({ store: process.argv[2] ?? "" });
const { claimed } = await createClient(RunService, server.transport).startRun({
  workflow: "script",
  runId: "x",
  claim: true,
});
console.log(claimed?.lease?.fence);
setInterval(() => undefined, 1_000);
