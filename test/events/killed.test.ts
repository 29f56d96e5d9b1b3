/**
 * Goal: a watcher of a run sees all of it once, however often the connection, the workers and the
 * servers go away meanwhile, and whichever server is asked.
 * Method: a watcher that leaves many times at seeded moments and continues from its cursor, while
 * worker and server processes are killed at others; what it got, joined, is held against what another
 * one got that never left, and against the record. PAWL_SEED repeats a run.
 */
import type { ChildProcess } from "node:child_process";
import { setTimeout as pause } from "node:timers/promises";
import { Client, type EventView } from "@pawl/worker";
import { expect, test } from "vitest";
import { Random } from "../chaos/random.ts";
import { createDatabase } from "../harness/database.ts";
import { scaled } from "../harness/scale.ts";
import { startServer, type TestServer } from "../harness/server.ts";
import { stores } from "../semantics/lab.ts";
import { kill, startProgram } from "./stage.ts";
import { expectWhole } from "./whole.ts";

const LEAVES = scaled(100, 30);
const TALK = { rounds: scaled(6, 4), words: 25 };

/** Servers on one store, of which any may be killed and started again at its place. */
class Servers {
  readonly list: TestServer[];
  readonly #names: readonly string[];

  private constructor(list: TestServer[], names: readonly string[]) {
    this.list = list;
    this.#names = names;
  }

  static async start(store: string | undefined, names: readonly string[]): Promise<Servers> {
    const list: TestServer[] = [];
    for (const name of names) {
      const args = ["--replica", name];
      list.push(await startServer({ args, ...(store === undefined ? {} : { store }) }));
    }
    return new Servers(list, names);
  }

  async killAndRestart(index: number): Promise<void> {
    const old = this.list[index];
    if (old === undefined) return;
    await old.kill();
    this.list[index] = await startServer({
      store: old.store,
      grpc: old.grpcAddress,
      http: old.httpAddress,
      args: ["--replica", this.#names[index] ?? ""],
    });
  }

  async stop(): Promise<void> {
    await Promise.all(this.list.map((server) => server.stop()));
  }
}

/** What is the same for everybody: without the live start of a step, which is for those who are there. */
function isOfTheStream(event: EventView): boolean {
  return event.type !== "workflow.step.started" || event.class === "checkpoint";
}

/** Puts what it sees into `events`, as it comes. */
async function watchInPieces(
  urls: readonly string[],
  runId: string,
  random: Random,
  events: EventView[],
  leavesMax: number,
): Promise<void> {
  const clients = urls.map((url) => new Client({ url }));
  let afterCursor = "";
  for (let leaves = 0; ; leaves += 1) {
    const client = random.pick(clients);
    const stay = leaves < leavesMax ? random.int(0, 5) : Number.POSITIVE_INFINITY;
    let seen = 0;
    const options = { waitForStart: true, ...(afterCursor === "" ? {} : { afterCursor }) };
    for await (const event of client.handle(runId).watch(options)) {
      events.push(event);
      afterCursor = event.cursor;
      seen += 1;
      if (seen > stay) break;
    }
    if (events.at(-1)?.type === "run.completed") break;
  }
  for (const client of clients) client.close();
}

test.each(stores)(
  "%s: a watcher that leaves many times, killed workers and servers",
  async (store) => {
    const seed = Number(process.env.PAWL_SEED ?? Date.now() % 1_000_000);
    console.log(`PAWL_SEED=${seed}`);
    const random = new Random(seed);
    const url = store === "postgres" ? await createDatabase("events") : undefined;
    const servers = await Servers.start(url, store === "postgres" ? ["a", "b"] : ["a"]);
    const urls = servers.list.map(({ grpcUrl }) => grpcUrl);
    const [first = ""] = urls;
    let worker: ChildProcess = await startProgram("talker.ts", first);
    const client = new Client({ url: urls.at(-1) ?? first });
    try {
      const runId = `talk-${store}`;
      const seen: EventView[] = [];
      const all: EventView[] = [];
      const watching = Promise.all([
        watchInPieces(urls, runId, new Random(seed + 1), seen, LEAVES),
        watchInPieces(urls, runId, new Random(seed + 2), all, 0),
      ]);
      // Nobody executes the run until both are there, so that neither is a late watcher.
      await kill(worker);
      await client.start("talk", TALK, { runId });
      await expect.poll(() => seen.length > 0 && all.length > 0).toBe(true);
      worker = await startProgram("talker.ts", first);
      let over = false;
      const end = (): void => {
        over = true;
      };
      watching.then(end, end);
      for (const act of ["worker", "server", "worker", "server"] as const) {
        // In the middle of the talk, however fast that is.
        const next = seen.length + random.int(5, 60);
        while (!over && seen.length < next) await pause(5);
        if (over) break;
        if (act === "server") await servers.killAndRestart(random.int(0, urls.length - 1));
        else {
          await kill(worker);
          worker = await startProgram("talker.ts", first);
        }
      }
      await watching;
      const mine = seen.filter(isOfTheStream);
      const patient = all.filter(isOfTheStream);
      const name = ({ eventId, type }: { eventId: string; type: string }) => `${type} ${eventId}`;
      const types = new Set(mine.map(({ type }) => type));
      expect([...types]).toEqual(expect.arrayContaining(["output.delta", "commit", "rollback"]));
      expect(mine.map(name)).toEqual(patient.map(name));
      const journal: string[] = [];
      for await (const { type } of client.handle(runId).journal()) journal.push(type);
      const checkpoints = mine.filter((event) => event.class === "checkpoint");
      expect(checkpoints.map(({ type }) => type)).toEqual(journal);
      expect(new Set(mine.map(({ eventId }) => eventId)).size).toBe(mine.length);
      const gaps = mine.filter(({ type }) => type === "gap").map(({ eventId }) => eventId);
      expect(gaps).toEqual([]);
      expect(expectWhole(mine)).toBe(2 * TALK.rounds);
      expect(mine.at(-1)?.type).toBe("run.completed");
    } finally {
      client.close();
      await kill(worker);
      await servers.stop();
    }
  },
  240_000,
);
