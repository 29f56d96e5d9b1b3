/**
 * Goal: what ends while a worker is away is handed to its code in the order of the journal.
 * Method: a proxy before the server, which is cut; a wait ends meanwhile, and then a step.
 */
import { connect, createServer, type Server, type Socket } from "node:net";
import { setTimeout as sleep } from "node:timers/promises";
import { afterAll, beforeAll, expect, test } from "vitest";
import { Client, type EntryView, silentLogger, Worker, workflow } from "../src/index.ts";
import { TestServer } from "./support/test-server.ts";

let server: TestServer;
let client: Client;
let proxy: Server;
let isCut = false;
const sockets = new Set<Socket>();

beforeAll(async () => {
  server = await TestServer.start();
  client = new Client({ url: server.grpcUrl });
  const { hostname, port } = new URL(server.grpcUrl);
  proxy = createServer((socket) => {
    if (isCut) {
      socket.destroy();
      return;
    }
    const other = connect(Number(port), hostname);
    for (const one of [socket, other]) {
      sockets.add(one);
      one.on("error", () => undefined);
      one.on("close", () => {
        sockets.delete(one);
        (one === socket ? other : socket).destroy();
      });
    }
    socket.pipe(other).pipe(socket);
  });
  await new Promise<void>((resolve) => proxy.listen(0, "127.0.0.1", resolve));
});

afterAll(async () => {
  client.close();
  for (const socket of sockets) socket.destroy();
  proxy.close();
  await server.stop();
});

test("a wait that ends while the worker is away comes before a step that ends later", async () => {
  const orders: string[][] = [];
  let end: (() => void) | undefined;
  const beside = workflow("beside", async (ctx) => {
    const order: string[] = [];
    orders.push(order);
    await ctx.all({
      waits: async (c) => {
        await c.signal("first");
        order.push("wait");
        await c.step("after the wait", () => undefined);
      },
      works: async (c) => {
        await c.step("work", () => new Promise<void>((resolve) => (end = resolve)));
        order.push("work");
      },
    });
    await ctx.signal("go");
    return order;
  });
  const address = proxy.address();
  const port = typeof address === "object" && address !== null ? address.port : 0;
  const url = `http://127.0.0.1:${port}`;
  const worker = new Worker({ url, workflows: [beside], logger: silentLogger });
  await worker.start();
  for (let i = 0; i < 4; i += 1) {
    end = undefined;
    orders.length = 0;
    const run = await client.start(beside, undefined);
    while (end === undefined || !(await waits(run.journal()))) await sleep(10);
    isCut = true;
    for (const socket of sockets) socket.destroy();
    await run.signal("first");
    finish(end);
    await sleep(100);
    isCut = false;
    await run.signal("go");
    expect(await run.result()).toEqual(["wait", "work"]);
    // Where the lease did not survive, there was one more execution.
    for (const order of orders) expect(order).toEqual(["wait", "work"].slice(0, order.length));
  }
  await worker.stop();
});

async function waits(journal: AsyncIterable<EntryView>): Promise<boolean> {
  for await (const { type } of journal) if (type === "workflow.wait.created") return true;
  return false;
}

function finish(end: (() => void) | undefined): void {
  end?.();
}
