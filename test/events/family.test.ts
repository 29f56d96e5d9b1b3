/**
 * Goal: a run and its children can be followed as one stream under one cursor, in an order that makes
 * sense, however often one comes back; and it is bounded.
 * Method: a family of runs on both stores, whose worker is killed once, watched by somebody who leaves
 * at seeded moments and continues at any server. PAWL_SEED repeats a run.
 */
import { type ChildProcess, execFile } from "node:child_process";
import { setTimeout as pause } from "node:timers/promises";
import { promisify } from "node:util";
import { Client, type EventView } from "@pawl/worker";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { Random } from "../chaos/random.ts";
import { createDatabase } from "../harness/database.ts";
import { serverMain, startServer, type TestServer } from "../harness/server.ts";
import { Curl } from "../http/sse.ts";
import { stores } from "../semantics/lab.ts";
import { kill, startProgram } from "./stage.ts";
import { expectWhole } from "./whole.ts";

const LEAVES = 40;

async function watchInPieces(clients: readonly Client[], runId: string, random: Random) {
  const events: EventView[] = [];
  let afterCursor = "";
  for (let leaves = 0; ; leaves += 1) {
    const stay = leaves < LEAVES ? random.int(0, 12) : Number.POSITIVE_INFINITY;
    let seen = 0;
    const client = random.pick(clients);
    const options = { waitForStart: true, children: true, afterCursor };
    for await (const event of client.handle(runId).watch(options)) {
      events.push(event);
      afterCursor = event.cursor;
      seen += 1;
      if (seen > stay) break;
    }
    if (events.at(-1)?.runId === runId && events.at(-1)?.type === "run.completed") return events;
  }
}

/** Positions of what must come one after the other. */
function expectOrder(events: readonly EventView[], runId: string): void {
  const at = (found: (event: EventView) => boolean) => events.findIndex(found);
  for (const child of new Set(events.map((event) => event.runId))) {
    if (child === runId) continue;
    const mentions = ({ entry }: EventView) => entry?.details.child_run_id === child;
    expect(at((event) => event.runId === child)).toBeGreaterThan(at(mentions));
    const told = at((event) => event.type === "workflow.wait.resolved" && mentions(event));
    if (told < 0) continue;
    expect(events.findLastIndex((event) => event.runId === child)).toBeLessThan(told);
  }
}

async function collect(events: AsyncIterable<EventView>): Promise<EventView[]> {
  const all: EventView[] = [];
  for await (const event of events) all.push(event);
  return all;
}

async function journalOf(client: Client, runId: string): Promise<string[]> {
  const seqs: string[] = [];
  for await (const entry of client.handle(runId).journal()) seqs.push(`${runId}/${entry.seq}`);
  return seqs;
}

describe.each(stores)("%s", (store) => {
  const servers: TestServer[] = [];
  let clients: Client[] = [];
  let worker: ChildProcess;
  beforeAll(async () => {
    const url = store === "postgres" ? await createDatabase("family") : undefined;
    for (const name of store === "postgres" ? ["a", "b"] : ["a"]) {
      const more = url === undefined ? {} : { store: url };
      servers.push(await startServer({ args: ["--replica", name], ...more }));
    }
    clients = servers.map(({ grpcUrl }) => new Client({ url: grpcUrl }));
    worker = await startProgram("family-worker.ts", servers[0]?.grpcUrl ?? "");
  });
  afterAll(async () => {
    for (const client of clients) client.close();
    await kill(worker);
    await Promise.all(servers.map((server) => server.stop()));
  });

  test("a family under one cursor, for somebody who comes and goes", async () => {
    const seed = Number(process.env.PAWL_SEED ?? Date.now() % 1_000_000);
    console.log(`PAWL_SEED=${seed}`);
    const random = new Random(seed);
    const [client] = clients;
    const [server] = servers;
    if (client === undefined || server === undefined) throw new Error("There is no server.");
    const id = `f${seed}`;
    const watching = watchInPieces(clients, id, new Random(seed + 1));
    const run = await client.start("family", undefined, { runId: id, delay: "200 ms" });
    await pause(200 + random.int(50, 250));
    const fromNow = collect(run.watch({ children: true, fromNow: true }));
    await kill(worker);
    worker = await startProgram("family-worker.ts", server.grpcUrl);
    expect(await run.result()).toMatchObject({ last: "family.0 ".length * 10 + 10 * 10 });
    const events = await watching;

    const ids = [...new Set(events.map(({ runId }) => runId))];
    const names = ids.map((name) => name.replace(/~all:(\d)\.child:/, "/").replace(/%5B.*%5D/, ""));
    const below = [0, 1, 2].flatMap(() => [`${id}/middle`, `${id}/middle~child:leaf`]);
    expect(names.sort()).toEqual([id, ...below, `${id}~spawn:idle`].sort());
    const checkpoints = events.filter(({ class: kind }) => kind === "checkpoint");
    for (const name of ids) {
      if (name.includes("idle")) continue;
      const mine = checkpoints.filter(({ runId }) => runId === name).map(({ eventId }) => eventId);
      expect(mine).toEqual(await journalOf(client, name));
    }
    expect(new Set(checkpoints.map(({ eventId }) => eventId)).size).toBe(checkpoints.length);
    expect(expectWhole(events)).toBeGreaterThan(0);
    expectOrder(events, id);
    const ends = events.filter(({ runId, type }) => runId === id && type === "run.completed");
    expect(ends).toEqual([events.at(-1)]);

    // Who came in the middle and wants no more than what happens from then on.
    const now = await fromNow;
    expect(now.map(({ eventId }) => eventId)).not.toContain(`${id}/1`);
    expect(new Set(now.map(({ runId }) => runId)).size).toBeGreaterThan(3);
    expect(now.at(-1)?.eventId).toBe(events.at(-1)?.eventId);
    const fresh = now.filter(({ class: kind }) => kind === "checkpoint");
    expect(new Set(fresh.map(({ eventId }) => eventId)).size).toBe(fresh.length);

    // Who comes when all is over: the same checkpoints, in an order that makes sense, and its end.
    const late = await collect(run.watch({ children: true }));
    expectOrder(late, id);
    expect(late.at(-1)?.eventId).toBe(events.at(-1)?.eventId);
    const lateOnes = late.map(({ eventId }) => eventId);
    for (const { eventId, runId } of checkpoints)
      if (!runId.includes("idle")) expect(lateOnes).toContain(eventId);

    // The same over HTTP, cut anywhere; and nothing follows its end.
    const page = `${server.httpUrl}/v1/runs/${id}/events?includeChildren=true`;
    await using whole = new Curl(page);
    expect(await whole.end()).toBe(0);
    const cut = random.int(0, whole.ids.length - 2);
    await using rest = new Curl("-H", `Last-Event-ID: ${whole.ids[cut]}`, page);
    expect(await rest.end()).toBe(0);
    const seen = (curl: Curl) => curl.events.map(({ data }) => String(data.eventId)).sort();
    expect(
      [...whole.events.slice(0, cut + 1).map(({ data }) => String(data.eventId))]
        .concat(seen(rest))
        .sort(),
    ).toEqual(seen(whole));
    expect(rest.events.at(-1)?.data).toMatchObject({ runId: id, type: "run.completed" });
    await using after = new Curl("-H", `Last-Event-ID: ${whole.ids.at(-1)}`, page);
    await after.end();
    expect(after.text).toContain("204 No Content");
    // And in the terminal.
    const args = [serverMain, "watch", id, "--children", "--server", server.httpUrl];
    const { stdout } = await promisify(execFile)(process.execPath, args);
    expect(stdout).toMatch(/step\.completed .*tell.* f\d+~.*leaf\n/);
    expect(stdout).toMatch(/run\.completed/);
  });

  test("a crowd is followed in part, and who comes in the middle sees what continues", async () => {
    const [client] = clients;
    if (client === undefined) throw new Error("There is no server.");
    const run = await client.start("crowd", 70, { runId: "c", delay: "100 ms" });
    const events = await collect(run.watch({ children: true }));
    const gaps = events.filter(({ type, payload: data }) => type === "gap" && data !== undefined);
    const followed = new Set(events.filter(({ type }) => type !== "gap").map(({ runId }) => runId));
    expect(followed.size + gaps.length).toBe(71);
    expect(gaps.length).toBeGreaterThan(0);
    for (const { runId } of gaps) expect(followed).not.toContain(runId);
    expect(Math.max(...events.map(({ cursor }) => cursor.length))).toBeLessThan(8_000);
    expect(await run.result()).toBe("all");
  });
});
