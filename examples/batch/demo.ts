/** A batch of twelve pictures, with server and worker in this process: `node examples/batch/demo.ts`. */
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { createEmbedded } from "@pawl/server";
import { Client, fromConnectTransport, silentLogger, Worker } from "@pawl/worker";
import { batch, resize } from "./workflow.ts";

const dir = await mkdtemp(join(tmpdir(), "pawl-batch-"));
const server = await createEmbedded({ store: ":memory:" });
const transport = fromConnectTransport(server.transport);
const worker = new Worker({ workflows: [batch, resize], transport, logger: silentLogger });
await worker.start();
const client = new Client({ transport });

const pictures = Array.from({ length: 12 }, (_, i) => ({
  name: `picture-${i + 1}.png`,
  bytes: i % 5 === 3 ? 0 : 1_000 * (i + 1),
}));
const run = await client.start(batch, { pictures, dir, paceMs: 200 });
for await (const event of run.watch())
  if (event.type === "progress") console.log(JSON.stringify(event.payload));
console.log(await run.result());

await worker.stop();
client.close();
await server.close();
await rm(dir, { recursive: true });
