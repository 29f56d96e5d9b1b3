/**
 * Goal: what is odd or large costs nobody else anything, and what was said is told once: a bad event,
 * pages of large results, a worker that dies between two words, a connection that is lost before
 * anything has happened.
 * Method: raw workers, worker processes that are killed, and a connection that is cut, on a real server.
 */
import { once } from "node:events";
import { type AddressInfo, connect, createServer, type Socket } from "node:net";
import { EventService, SignalService } from "@pawl/proto";
import { Client, type EventView, silentLogger, Worker, workflow } from "@pawl/worker";
import { afterAll, beforeAll, expect, test } from "vitest";
import { rpc, SessionWorker } from "../harness/protocol.ts";
import { json, Lab } from "../semantics/lab.ts";
import { kill, short, startProgram, Watcher } from "./stage.ts";

let lab: Lab;
beforeAll(async () => {
  lab = await Lab.open("sqlite");
});
afterAll(() => lab[Symbol.asyncDispose]());

async function held() {
  const { worker, ...run } = await lab.held("session");
  if (!(worker instanceof SessionWorker)) throw new Error("A session was asked for.");
  return { worker, ...run };
}

test("an event that cannot be taken costs only itself", async () => {
  const { worker, runId, fence } = await held();
  const live = new Watcher(lab.client, { runId, waitForStart: true });
  await live.until(({ type }) => type === "run.started");
  const good = (text: string) => ({
    ...{ type: "output.delta", stepKey: "a", attempt: 1 },
    payload: json(text),
  });
  const raw = (text: string) => ({ encoding: "json", data: Buffer.from(text) });
  const events = [
    good("1"),
    { ...good(""), type: "nul\0x" },
    { ...good(""), type: "" },
    good("2"),
    { ...good(""), type: "x".repeat(300) },
    { ...good(""), payload: json("x".repeat(300_000)) },
    // In name only: it is shown as the bytes that it is.
    { ...good(""), type: "tool.call.delta", payload: raw('"abc') },
    good("3"),
  ];
  expect(await worker.publish(runId, fence, events, 1)).toMatchObject({ acknowledged: 8 });
  const late = new Watcher(lab.client, { runId });
  await late.until((event) => short(event) === "a@1=3");
  const page = await fetch(`${lab.server.httpUrl}/v1/runs/${runId}/events`, {
    headers: { accept: "application/json" },
  });
  expect([page.status, await page.text()]).toEqual([200, expect.stringContaining('"3"')]);
  const client = new Client({ url: lab.server.grpcUrl });
  const decoded: EventView[] = [];
  for await (const event of client.handle(runId).watch()) {
    decoded.push(event);
    if (event.payload === "3") break;
  }
  client.close();
  expect(decoded.find(({ type }) => type === "tool.call.delta")?.payload).toEqual(
    new Uint8Array(Buffer.from('"abc')),
  );
  await worker.stepCompleted({ runId, fence, stepKey: "a", attempt: 1, output: json("123") });
  await worker.completeRun({ runId, fence, output: json("done") });
  await Promise.all([live.ended, late.ended]);
  const shown = ["a@1=1", "a@1=2", "tool.call.delta:a@1", "a@1=3"];
  const ofStep = (name: string) => name.includes("@1");
  expect(live.events.map(short).filter(ofStep)).toEqual([
    ...shown,
    "commit:a@1",
    "step.completed:a@1",
  ]);
  expect(live.events.filter(({ type }) => type === "gap")).toHaveLength(2);
});

test("pages of large results and signals are bounded in bytes, and have all", async () => {
  const { worker, runId, fence } = await held();
  const large = json("x".repeat(63_990));
  for (let at = 0; at < 75; at += 1)
    await worker.stepCompleted({ runId, fence, stepKey: `s${at}`, attempt: 1, output: large });
  for (let at = 0; at < 90; at += 1) {
    const signal = { runId, name: "go", signalId: `go-${at}`, payload: large };
    await rpc(lab.client, SignalService.method.sendSignal, signal);
  }
  await worker.completeRun({ runId, fence, output: json("done") });
  const types: string[] = [];
  for (let afterCursor = ""; ; ) {
    const request = { runId, afterCursor, pageSize: 1_000 };
    const page = await rpc(lab.client, EventService.method.listEvents, request);
    types.push(...page.events.map(({ type }) => type));
    afterCursor = page.nextCursor;
    if (afterCursor === "") break;
  }
  expect(types.filter((type) => type === "workflow.step.completed")).toHaveLength(75);
  expect(types.at(-1)).toBe("run.completed");
  const signals: string[] = [];
  for (let pageToken = ""; ; ) {
    const request = { runId, pageSize: 500, pageToken };
    const page = await rpc(lab.client, SignalService.method.listSignals, request);
    signals.push(...page.signals.map(({ signalId }) => signalId));
    pageToken = page.nextPageToken;
    if (pageToken === "") break;
  }
  expect(signals).toEqual(Array.from({ length: 90 }, (_, at) => `go-${at}`));
  const events: string[] = [];
  for (let after = ""; ; ) {
    const path = `/v1/runs/${runId}/events?pageSize=1000&after=${after}`;
    const headers = { accept: "application/json" };
    const response = await fetch(`${lab.server.httpUrl}${path}`, { headers });
    expect(response.status).toBe(200);
    const page = Object(await response.json());
    events.push(...page.events.map(({ type }: { type: string }) => type));
    if (page.nextCursor === undefined) break;
    after = page.nextCursor;
  }
  expect(events).toEqual(types);
});

test("what the code says between its steps is told once, however often its worker is killed", async () => {
  const client = new Client({ url: lab.server.grpcUrl });
  let worker = await startProgram("noter.ts", lab.server.grpcUrl);
  try {
    const run = await client.start("notes", null);
    const live = new Watcher(lab.client, { runId: run.runId });
    for (let attempt = 1; attempt <= 2; attempt += 1) {
      await live.until(({ type, stepKey, attempt: of }) => {
        return type === "workflow.step.started" && stepKey === "b" && of === attempt;
      });
      await live.until(({ type }) => type === "log");
      await kill(worker);
      worker = await startProgram("noter.ts", lab.server.grpcUrl);
    }
    await live.ended;
    const late = new Watcher(lab.client, { runId: run.runId });
    await late.ended;
    const told = ({ events }: Watcher) =>
      events
        .filter(({ type }) => type === "note" || type === "log")
        .map(({ payload }) => Buffer.from(payload?.data ?? []).toString());
    const all = [
      '"kept for a while"',
      '"kept for good"',
      expect.stringContaining("logged"),
      '"said once anyway"',
    ];
    expect(told(live)).toEqual(all);
    expect(told(late)).toEqual(all);
    const { listEvents } = EventService.method;
    const { events } = await rpc(lab.client, listEvents, { runId: run.runId, pageSize: 1_000 });
    expect(events.filter(({ type }) => type === "note")).toHaveLength(3);
  } finally {
    client.close();
    await kill(worker);
  }
});

/** A cursor within the bytes of a message. */
const CURSOR = /[\w-]{20}/;
const quiet = workflow("quiet", async (ctx) => {
  await ctx.signal("go");
  for (const name of ["x", "y", "z"]) await ctx.step(name, async () => name);
  await ctx.signal("end");
});

test("a watch from now on misses nothing, where its connection is lost before anything came", async () => {
  const sockets = new Set<Socket>();
  let isCut = false;
  let heard = "";
  const proxy = createServer((inner) => {
    if (isCut) {
      inner.destroy();
      return;
    }
    const [host = "", port = ""] = lab.server.grpcAddress.split(":");
    const outer = connect(Number(port), host);
    for (const socket of [inner, outer]) sockets.add(socket);
    for (const socket of [inner, outer]) socket.on("error", () => undefined);
    outer.on("data", (bytes: Buffer) => {
      heard += bytes.toString("latin1");
    });
    inner.pipe(outer).pipe(inner);
  });
  proxy.listen(0, "127.0.0.1");
  await once(proxy, "listening");
  const { port } = proxy.address() as AddressInfo;
  const direct = new Client({ url: lab.server.grpcUrl });
  const distant = new Client({ url: `http://127.0.0.1:${port}`, logger: silentLogger });
  const worker = new Worker({ url: lab.server.grpcUrl, workflows: [quiet], logger: silentLogger });
  try {
    await worker.start();
    const run = await direct.start(quiet, undefined);
    await expect.poll(async () => (await run.get()).status).toBe("waiting");
    const seen: string[] = [];
    const watching = (async () => {
      const events = distant.handle(run.runId).watch({ fromNow: true });
      for await (const { class: kind, type } of events) if (kind === "checkpoint") seen.push(type);
    })();
    // It has been told its place.
    await expect.poll(() => heard).toMatch(CURSOR);
    isCut = true;
    for (const socket of sockets) socket.destroy();
    await run.signal("go");
    await lab.until(run.runId, ({ waits }) => waits.some(({ name }) => name === "end"));
    isCut = false;
    await run.signal("end");
    await run.result();
    await watching;
    const journal: string[] = [];
    for await (const { type } of run.journal()) journal.push(type);
    expect(seen).toEqual(journal.slice(journal.indexOf("workflow.signal.received")));
  } finally {
    await worker.stop();
    direct.close();
    distant.close();
    for (const socket of sockets) socket.destroy();
    proxy.close();
  }
});
