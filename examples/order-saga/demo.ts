/**
 * Three orders, with server and worker in this process: `node examples/order-saga/demo.ts`. One is
 * shipped, one fails at the courier, one is cancelled while it waits; the last two are undone.
 */
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { createEmbedded } from "@pawl/server";
import { Client, fromConnectTransport, silentLogger, Worker } from "@pawl/worker";
import { readLedger } from "./shop.ts";
import { order } from "./workflow.ts";

const dir = await mkdtemp(join(tmpdir(), "pawl-orders-"));
const server = await createEmbedded({ store: ":memory:" });
const transport = fromConnectTransport(server.transport);
const worker = new Worker({ workflows: [order], transport, logger: silentLogger });
await worker.start();
const client = new Client({ transport });

const shipped = await client.start(order, { orderId: "A-1", amount: 4_900, dir });
const failed = await client.start(order, { orderId: "A-2", amount: 1_200, dir, tooLarge: true });
const cancelled = await client.start(order, { orderId: "A-3", amount: 700, dir });

await shipped.signal("picked up");
while ((await cancelled.get()).status !== "waiting")
  await new Promise((next) => setTimeout(next, 50));
await cancelled.cancel({ reason: "the customer changed their mind" });

for (const run of [shipped, failed, cancelled]) {
  const outcome = await run.result().then(
    (result) => `completed ${JSON.stringify(result)}`,
    (error: unknown) => `${String(error)}`,
  );
  console.log(`\n${run.runId}: ${outcome}`);
  for (const { deed, orderId } of await readLedger(dir)) {
    if (run.runId === `order-${orderId}`) console.log(`  ${deed}`);
  }
}

await worker.stop();
client.close();
await server.close();
await rm(dir, { recursive: true });
