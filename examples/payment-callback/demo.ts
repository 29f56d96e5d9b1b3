/**
 * Two payments, with a server and the provider as processes of their own, so that there is something
 * to call: `node examples/payment-callback/demo.ts`. One is paid, the other customer takes too long.
 */
import { type ChildProcess, spawn } from "node:child_process";
import { join } from "node:path";
import { createInterface } from "node:readline";
import { Client, silentLogger, Worker } from "@pawl/worker";
import { payment } from "./workflow.ts";

const pawl = join(import.meta.dirname, "..", "..", "server", "bin", "pawl.js");
const free = "127.0.0.1:0";
const server = start(
  pawl,
  "serve",
  "--json",
  "--store",
  ":memory:",
  "--grpc",
  free,
  "--http",
  free,
);
const provider = start(join(import.meta.dirname, "provider.ts"));
const [ready, providerUrl] = await Promise.all([firstLine(server), firstLine(provider)]);
const { grpcUrl }: { grpcUrl: string } = JSON.parse(ready);

const worker = new Worker({ url: grpcUrl, workflows: [payment], logger: silentLogger });
await worker.start();
const client = new Client({ url: grpcUrl, logger: silentLogger });

for (const order of [
  { orderId: "A-1", amount: 4_900, patience: "1 min" },
  { orderId: "A-2", amount: 13, patience: "1 s" },
]) {
  console.log(await client.run(payment, { ...order, provider: providerUrl }));
}

await worker.stop();
client.close();
provider.kill();
server.kill();

function start(...args: string[]): ChildProcess {
  // The server's log would stand between the payments.
  const env = { PAWL_LOG: "error", ...process.env };
  const child = spawn(process.execPath, args, { stdio: ["ignore", "pipe", "inherit"], env });
  process.on("exit", () => child.kill());
  return child;
}

async function firstLine(child: ChildProcess): Promise<string> {
  if (child.stdout === null) throw new Error("it has no output");
  for await (const line of createInterface({ input: child.stdout })) {
    child.stdout.resume();
    return line;
  }
  throw new Error("it ended without a word");
}
