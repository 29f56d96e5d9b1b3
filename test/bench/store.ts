/**
 * What one commit costs in each store, without engine or wire: batches of 64 writes, each one
 * journal entry of 200 bytes for a run of its own, every tenth batch being new runs.
 *
 * `node test/bench/store.ts [--seconds 3] [--batch 64] [--json] [sqlite] [sqlite-main] [postgres]`
 */

import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { parseArgs } from "node:util";
import { uuidv7 } from "../../server/src/lib/ids.ts";
import type { Entry } from "../../server/src/model/entry.ts";
import type { RunHeader } from "../../server/src/model/run.ts";
import { openStore } from "../../server/src/store/open.ts";
import type { RunWrite, Store } from "../../server/src/store/store.ts";
import { startPostgres } from "../harness/postgres.ts";

const STEPS = 10;
const OUTPUT = Buffer.from(JSON.stringify({ text: "x".repeat(188) }));
const NOTHING = {
  payloads: [],
  payloadRefs: [],
  duePut: [],
  dueRemove: [],
  dueClear: false,
  dueElsewhere: [],
} as const;

interface Figures {
  readonly store: string;
  readonly writesPerSecond: number;
  readonly msPerCommit: number;
  /** CPU time of this process's main thread, in µs per write. */
  readonly mainUs: number;
  /** CPU time of this process's other threads, in µs per write. */
  readonly otherUs: number;
}

async function measure(
  name: string,
  store: Store,
  seconds: number,
  size: number,
): Promise<Figures> {
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
    writesPerSecond: Math.round((writes / ms) * 1000),
    msPerCommit: ms / commits,
    mainUs: mainUs / writes,
    otherUs: (cpuAfter.user + cpuAfter.system - mainUs) / writes,
  };
}

async function work(
  store: Store,
  seconds: number,
  size: number,
): Promise<{ writes: number; commits: number }> {
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

function create(runId: string): RunWrite {
  const at = 1_795_000_000_000;
  const insert: RunHeader = {
    org: "default",
    runId,
    workflow: "bench",
    version: "",
    queue: "default",
    priority: 5,
    state: "RUNNING",
    reason: "",
    intent: "none",
    fence: 1,
    seq: 1,
    attempt: 1,
    crashes: 0,
    inputDigest: "0".repeat(64),
    parentRunId: "",
    parentKey: "",
    createdAt: at,
    startAt: at,
    startedAt: at,
    updatedAt: at,
    endedAt: 0,
    options: {},
    tags: {},
    waiting: null,
    lease: null,
  };
  return {
    org: "default",
    runId,
    expect: null,
    seq: 1,
    updatedAt: at,
    insert,
    entries: [entry(1)],
    ...NOTHING,
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
    ...NOTHING,
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

async function withSqlite(
  thread: boolean,
  use: (store: Store) => Promise<Figures>,
): Promise<Figures> {
  const folder = await mkdtemp(join(tmpdir(), "pawl-store-bench-"));
  const store = await openStore(join(folder, "pawl.db"), { thread });
  try {
    return await use(store);
  } finally {
    await store.close();
    await rm(folder, { recursive: true });
  }
}

async function withPostgres(use: (store: Store) => Promise<Figures>): Promise<Figures> {
  await using cluster = await startPostgres({ fsync: true });
  const store = await openStore(await cluster.createDatabase("bench"));
  try {
    return await use(store);
  } finally {
    await store.close();
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
const wanted = positionals.length > 0 ? positionals : ["sqlite", "sqlite-main", "postgres"];
const results: Figures[] = [];
for (const name of wanted) {
  const use = (store: Store): Promise<Figures> =>
    measure(name, store, Number(values.seconds), Number(values.batch));
  const figures =
    name === "postgres" ? await withPostgres(use) : await withSqlite(name === "sqlite", use);
  results.push(figures);
  if (!values.json) {
    const { writesPerSecond, msPerCommit, mainUs, otherUs } = figures;
    console.log(
      `${name}: ${writesPerSecond} writes/s, ${msPerCommit.toFixed(2)} ms a commit of ` +
        `${values.batch}, CPU µs per write: main thread ${mainUs.toFixed(1)}, ` +
        `other threads ${otherUs.toFixed(1)}`,
    );
  }
}
if (values.json) console.log(JSON.stringify({ results }));
