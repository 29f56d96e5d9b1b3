/**
 * Goal: what a watcher has seen of a step when its `commit` comes is what is recorded, word for word,
 * whenever it came, however often it left and came back, and whatever it watches over.
 * Method: families of runs that stream concurrently, under watchers that are made up as the seed says
 * (PAWL_SEED=n for the same again), over gRPC, Connect and SSE, on both stores.
 */
import { setTimeout as pause } from "node:timers/promises";
import { createConnectTransport } from "@connectrpc/connect-node";
import {
  Client,
  type Context,
  type EventView,
  fromConnectTransport,
  silentLogger,
  Worker,
  workflow,
} from "@pawl/worker";
import { expect, test } from "vitest";
import { Random } from "../chaos/random.ts";
import { createDatabase } from "../harness/database.ts";
import { scaled } from "../harness/scale.ts";
import { startServer, type TestServer } from "../harness/server.ts";
import { stores } from "../semantics/lab.ts";

const RUNS = scaled(12, 3);
const STEPS = 12;
const WATCHERS = 4;

interface Talk {
  readonly seed: number;
  readonly children: number;
}

/** Words of all lengths, some with characters of several bytes, and pauses of all lengths. */
async function* words(seed: number) {
  const random = new Random(seed);
  const count = random.int(1, 30);
  for (let at = 0; at < count; at += 1) {
    yield `${seed}.${at}é😀`.repeat(random.int(1, random.chance(0.1) ? 100 : 4));
    if (random.chance(0.7)) await pause(random.int(0, 8));
  }
}

async function speak(ctx: Context, seed: number): Promise<void> {
  const say = async (side: string) => {
    for (let step = 0; step < STEPS; step += 1)
      await ctx.step(`${side}${step}`, () => words(seed * 1_000 + step));
  };
  await Promise.all([say("left"), say("right")]);
}

const kid = workflow("kid", (ctx, seed: number) => speak(ctx, seed));
const talk = workflow("talk", async (ctx, { seed, children }: Talk) => {
  const kids = Array.from({ length: children }, (_, at) => ctx.child(kid, seed + 100 * (at + 1)));
  await Promise.all([speak(ctx, seed), ...kids]);
});

interface Seen {
  readonly runId: string;
  readonly type: string;
  readonly stepKey: string;
  readonly attempt: number;
  /** Of a delta. */
  readonly text: string;
  /** Of a step's end. */
  readonly value: unknown;
  readonly cursor: string;
}

type Watch = (runId: string, cursor: string, children: boolean) => AsyncIterable<Seen>;

function ofClient(client: Client): Watch {
  const seen = ({
    runId,
    type,
    stepKey,
    attempt,
    payload: data,
    entry,
    cursor,
  }: EventView): Seen => {
    return { runId, type, stepKey, attempt, text: String(data), value: entry?.payload, cursor };
  };
  return async function* (runId, afterCursor, children) {
    const events = client.handle(runId).watch({ afterCursor, children, waitForStart: true });
    for await (const event of events) yield seen(event);
  };
}

function ofSse(url: string): Watch {
  return async function* (runId, cursor, children) {
    const more = `waitForStart=true&includeChildren=${children}`;
    const response = await fetch(`${url}/v1/runs/${encodeURIComponent(runId)}/events?${more}`, {
      headers: { accept: "text/event-stream", ...(cursor && { "last-event-id": cursor }) },
    });
    if (response.status === 204 || response.body === null) return;
    if (response.status !== 200) throw new Error(await response.text());
    let rest = "";
    let id = cursor;
    for await (const piece of response.body.pipeThrough(new TextDecoderStream())) {
      const frames = (rest + piece).split("\n\n");
      rest = frames.pop() ?? "";
      for (const frame of frames) {
        id = /^id: (.*)$/m.exec(frame)?.[1] ?? id;
        const data = /^data: (.*)$/m.exec(frame)?.[1];
        if (data === undefined) continue;
        const event: unknown = JSON.parse(data);
        yield seenIn(event, id);
      }
    }
  };
}

function seenIn(event: unknown, cursor: string): Seen {
  const { runId, type, stepKey, attempt, payload, entry, reason } = Object(event);
  if (reason !== undefined) throw new Error(String(reason));
  return {
    ...{ runId, type, stepKey: stepKey ?? "", attempt, cursor },
    ...{ text: String(payload), value: entry?.payload },
  };
}

/** One watcher's life; returns how many commits it saw. */
async function live(watch: Watch, runId: string, seed: number, about: string): Promise<number> {
  const random = new Random(seed);
  const children = random.chance(0.5);
  await pause(random.chance(0.3) ? random.int(0, 2_000) : 0);
  const texts = new Map<string, string>();
  const committed: { name: string; text: string; about: string }[] = [];
  let commits = 0;
  let cursor = "";
  for (;;) {
    const stay = random.chance(0.3) ? Number.POSITIVE_INFINITY : random.int(1, 60);
    let count = 0;
    for await (const event of watch(runId, cursor, children)) {
      cursor = event.cursor;
      const name = `${event.runId} ${event.stepKey}@${event.attempt}`;
      if (event.type === "output.delta") texts.set(name, (texts.get(name) ?? "") + event.text);
      if (event.type === "gap" || event.type === "rollback")
        throw new Error(`${about}: a ${event.type} of ${name}, though nothing was lost`);
      if (event.type === "commit") committed.push({ name, text: texts.get(name) ?? "", about });
      if (event.type === "workflow.step.completed") {
        for (const one of committed.filter((each) => each.name === name)) {
          if (one.text !== event.value)
            throw new Error(`${about}: ${name}: ${differenceOf(one.text, event.value)}`);
          commits += 1;
        }
      }
      if (event.type === "run.completed" && event.runId === runId) return commits;
      count += 1;
      if (count >= stay) break;
    }
    await pause(random.int(0, 60));
  }
}

function differenceOf(seen: string, recorded: unknown): string {
  const all = String(recorded);
  const at = [...all].findIndex((_, index) => seen[index] !== all[index]);
  return `seen ${seen.length} of ${all.length}; from ${at} "${seen.slice(at, at + 40)}" for "${all.slice(at, at + 40)}"`;
}

async function clientsOf(servers: readonly TestServer[]) {
  const clients = servers.map(({ grpcUrl }) => new Client({ url: grpcUrl }));
  const connected = servers.map(({ httpUrl }) => {
    const transport = createConnectTransport({ baseUrl: httpUrl, httpVersion: "1.1" });
    return new Client({ transport: fromConnectTransport(transport) });
  });
  const ways: [string, Watch][] = servers.flatMap(({ httpUrl }) => [["SSE", ofSse(httpUrl)]]);
  for (const client of clients) ways.push(["gRPC", ofClient(client)]);
  for (const client of connected) ways.push(["Connect", ofClient(client)]);
  return { clients, ways };
}

test.each(stores)(
  "%s: what watchers of every kind have seen at a commit is what is recorded",
  async (store) => {
    const seed = Number(process.env.PAWL_SEED ?? Date.now() % 1_000_000);
    console.log(`PAWL_SEED=${seed}`);
    const random = new Random(seed);
    const own = store === "postgres" ? { store: await createDatabase("whole") } : {};
    const servers = [await startServer({ ...own })];
    if (store === "postgres") servers.push(await startServer({ ...own, args: ["--replica", "b"] }));
    const url = servers[0]?.grpcUrl ?? "";
    const worker = new Worker({ url, workflows: [talk, kid], slots: 100, logger: silentLogger });
    const { clients, ways } = await clientsOf(servers);
    try {
      await worker.start();
      const lives: Promise<number>[] = [];
      for (let run = 0; run < RUNS; run += 1) {
        const runId = `talk-${run}`;
        for (let at = 0; at < WATCHERS; at += 1) {
          const [name, watch] = random.pick(ways);
          const about = `PAWL_SEED=${seed}, watcher ${at} of ${runId} over ${name}`;
          const one = live(watch, runId, random.int(0, 1e9), about);
          // It is awaited below, once all runs are started.
          one.catch(() => undefined);
          lives.push(one);
        }
        const input = { seed: seed + run, children: random.int(0, 2) };
        await clients[0]?.start(talk, input, { runId });
      }
      const commits = await Promise.all(lives);
      expect(commits.reduce((sum, count) => sum + count, 0)).toBeGreaterThan(RUNS * STEPS);
    } finally {
      for (const client of clients) client.close();
      await worker.stop();
      for (const server of servers) await server.stop();
    }
  },
  240_000,
);
