/**
 * What one commit costs in each store, without engine or wire.
 *
 * - `steps`: batches of 64 writes, each one journal entry of 200 bytes for a run of its own, every
 *   tenth batch being new runs.
 * - `lives`: the same for whole lives: 64 runs at different points between start and end, so that
 *   each batch has new runs, steps and ends in it, and a claim.
 * - `claim`: one claim of 8 runs with 1,000 and with 100,000 runs queued in three lanes.
 *
 * `node test/bench/store-bench.ts [--seconds 3] [--batch 64] [--json] [sqlite] [sqlite-main] [postgres]`
 */

import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { parseArgs } from "node:util";
import { uuidv7 } from "../../server/src/lib/ids.ts";
import type { Entry } from "../../server/src/model/entry.ts";
import { NEW_RUN, type RunHeader } from "../../server/src/model/run.ts";
import { openStore } from "../../server/src/store/open.ts";
import type { ClaimRequest, RunWrite } from "../../server/src/store/runs.ts";
import type { Store } from "../../server/src/store/store.ts";
import { startPostgres } from "../harness/postgres.ts";

const STEPS = 10;
const OUTPUT = Buffer.from(JSON.stringify({ text: "x".repeat(188) }));
interface Figures {
  readonly store: string;
  readonly load: "steps" | "lives";
  readonly writesPerSecond: number;
  readonly msPerCommit: number;
  /** CPU time of this process's main thread, in µs per write. */
  readonly mainUs: number;
  /** CPU time of this process's other threads, in µs per write. */
  readonly otherUs: number;
}

interface Done {
  readonly writes: number;
  readonly commits: number;
}

type Work = (store: Store, seconds: number, size: number) => Promise<Done>;

async function measure(
  name: string,
  load: Figures["load"],
  store: Store,
  seconds: number,
  size: number,
): Promise<Figures> {
  const work: Work = load === "steps" ? steps : lives;
  await work(store, 1, size);
  const cpu = process.cpuUsage();
  const main = process.threadCpuUsage();
  const begin = performance.now();
  const { writes, commits } = await work(store, seconds, size);
  const ms = performance.now() - begin;
  const cpuAfter = process.cpuUsage(cpu);
  const mainAfter = process.threadCpuUsage();
  const mainUs = mainAfter.user + mainAfter.system - main.user - main.system;
  return {
    store: name,
    load,
    writesPerSecond: Math.round((writes / ms) * 1000),
    msPerCommit: ms / commits,
    mainUs: mainUs / writes,
    otherUs: (cpuAfter.user + cpuAfter.system - mainUs) / writes,
  };
}

async function steps(store: Store, seconds: number, size: number): Promise<Done> {
  const end = performance.now() + seconds * 1000;
  let commits = 0;
  while (performance.now() < end) {
    const runIds = Array.from({ length: size }, () => uuidv7(Date.now()));
    for (let seq = 1; seq <= STEPS; seq += 1) {
      const writes = runIds.map((runId) => (seq === 1 ? create(runId) : advance(runId, seq)));
      const { confirmed } = await store.commit({ now: seq, writes, claims: [] });
      if (confirmed.includes(false)) throw new Error(`A write of batch ${seq} was not confirmed.`);
      commits += 1;
    }
  }
  return { writes: commits * size, commits };
}

/** Each run: started and queued, claimed, ten steps, ended. One claim per commit. */
async function lives(store: Store, seconds: number, size: number): Promise<Done> {
  const end = performance.now() + seconds * 1000;
  const held = new Map<string, number>();
  let [commits, done, started] = [0, 0, 0];
  while (performance.now() < end) {
    const writes: RunWrite[] = [];
    for (const [runId, seq] of held) {
      if (seq <= STEPS) {
        writes.push(advance(runId, seq + 1));
        held.set(runId, seq + 1);
      } else {
        writes.push(finish(runId, seq + 1));
        held.delete(runId);
      }
    }
    const fresh = Math.min(Math.ceil(size / STEPS), size - held.size);
    for (let i = 0; i < fresh; i += 1) writes.push(queued(uuidv7(Date.now()), "bench", started++));
    const { confirmed, claimed } = await store.commit({
      now: commits,
      writes,
      claims: [claimOf(size - held.size)],
    });
    if (confirmed.includes(false)) throw new Error("A write was not confirmed.");
    for (const { header } of claimed.flat()) held.set(header.runId, 1);
    commits += 1;
    done += writes.length;
  }
  await store.commit({
    now: 0,
    writes: [...held].map(([runId, seq]) => finish(runId, seq + 1)),
    claims: [],
  });
  return { writes: done, commits };
}

/** Median time of a claim of eight runs, in ms. */
async function claimMs(store: Store, count: number): Promise<number> {
  for (let n = 0; n < count; n += 1_000) {
    const writes = Array.from({ length: 1_000 }, (_, i) =>
      queued(uuidv7(Date.now()), `lane-${i % 3}`, n + i),
    );
    await store.commit({ now: n, writes, claims: [] });
  }
  const times: number[] = [];
  for (let i = 0; i < 40; i += 1) {
    const begin = performance.now();
    const { claimed } = await store.commit({
      now: i,
      writes: [],
      claims: [{ ...claimOf(8), lanes: ["lane-0", "lane-1", "lane-2"] }],
    });
    times.push(performance.now() - begin);
    if (claimed[0]?.length !== 8) throw new Error("A claim got too few runs.");
  }
  return times.sort((a, b) => a - b)[20] ?? 0;
}

function claimOf(slots: number): ClaimRequest {
  return {
    org: "default",
    queues: ["default"],
    lanes: ["bench"],
    slots: Array.from({ length: slots }, () => ({ connectionId: "s", workerId: "w" })),
    until: 1_795_000_000_000,
    journalBytes: 1_000_000,
  };
}

function queued(runId: string, lane: string, readyAt: number): RunWrite {
  const write = create(runId);
  const insert = { ...header(runId), status: "QUEUED", fence: 0 } as const;
  return { ...write, insert, changes: { ready: { queue: "default", lane, rank: 4, readyAt } } };
}

function finish(runId: string, seq: number): RunWrite {
  const { status: _, ...rest } = header(runId);
  const patch = { ...rest, status: "COMPLETED", endedAt: seq } as const;
  const due = { put: [], remove: [], elsewhere: [], isCleared: true } as const;
  return { ...advance(runId, seq), patch, changes: { lease: "remove", due } };
}

function header(runId: string): RunHeader {
  const at = 1_795_000_000_000;
  return {
    ...NEW_RUN,
    org: "default",
    runId,
    runUid: `uid of ${runId}`,
    workflow: "bench",
    status: "RUNNING",
    fence: 1,
    seq: 1,
    attempt: 1,
    inputDigest: "0".repeat(64),
    createdAt: at,
    startAt: at,
    startedAt: at,
    updatedAt: at,
  };
}

function create(runId: string): RunWrite {
  const insert = header(runId);
  return {
    org: "default",
    runId,
    expect: null,
    seq: 1,
    updatedAt: insert.updatedAt,
    insert,
    entries: [entry(1)],
    changes: {},
  };
}

function advance(runId: string, seq: number): RunWrite {
  return {
    org: "default",
    runId,
    expect: { fence: 1, seq: seq - 1 },
    seq,
    updatedAt: 1_795_000_000_000 + seq,
    entries: [entry(seq)],
    changes: {},
  };
}

function entry(seq: number): Entry {
  return {
    seq,
    at: 1_795_000_000_000 + seq,
    type: "workflow.step.completed",
    key: `summarize#${seq}`,
    attempt: 1,
    meta: { worker: "worker-7f3a2b1c", fence: 1, ms: 12, inputDigest: "a".repeat(64) },
    payload: { encoding: "json", data: OUTPUT },
  };
}

/** Gives `use` a new store of the kind. */
async function withStore<T>(kind: string, use: (store: Store) => Promise<T>): Promise<T> {
  if (kind === "postgres") {
    await using cluster = await startPostgres({ fsync: true });
    const store = await openStore(await cluster.createDatabase("bench"));
    try {
      return await use(store);
    } finally {
      await store.close();
    }
  }
  const folder = await mkdtemp(join(tmpdir(), "pawl-store-bench-"));
  const store = await openStore(join(folder, "pawl.db"), { thread: kind === "sqlite" });
  try {
    return await use(store);
  } finally {
    await store.close();
    await rm(folder, { recursive: true });
  }
}

const { values, positionals } = parseArgs({
  allowPositionals: true,
  options: {
    seconds: { type: "string", default: "3" },
    batch: { type: "string", default: "64" },
    json: { type: "boolean", default: false },
  },
});
const [seconds, size] = [Number(values.seconds), Number(values.batch)];
const kinds = positionals.length > 0 ? positionals : ["sqlite", "sqlite-main", "postgres"];
const results: object[] = [];
const say = (text: string): void => {
  if (!values.json) console.log(text);
};
for (const kind of kinds) {
  await withStore(kind, async (store) => {
    for (const load of ["steps", "lives"] as const) {
      const figures = await measure(kind, load, store, seconds, size);
      results.push(figures);
      say(
        `${kind} ${load}: ${figures.writesPerSecond} writes/s, ` +
          `${figures.msPerCommit.toFixed(2)} ms a commit of ${size}, CPU µs per write: main ` +
          `thread ${figures.mainUs.toFixed(1)}, other threads ${figures.otherUs.toFixed(1)}`,
      );
    }
  });
  await withStore(kind, async (store) => {
    const few = await claimMs(store, 1_000);
    const many = await claimMs(store, 100_000);
    results.push({ store: kind, claim1kMs: few, claim100kMs: many });
    say(`${kind} claim: ${few.toFixed(2)} ms of 1,000 queued, ${many.toFixed(2)} ms of 100,000`);
  });
}
if (values.json) console.log(JSON.stringify({ results }));
