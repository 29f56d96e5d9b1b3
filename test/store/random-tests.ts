import { describe, expect, test } from "vitest";
import type { Entry } from "../../server/src/model/entry.ts";
import type { RunStatus } from "../../server/src/model/run.ts";
import type { DueItem, DueRemoval, DueRow } from "../../server/src/store/due.ts";
import type { Batch, RunWrite } from "../../server/src/store/runs.ts";
import type { Store } from "../../server/src/store/store.ts";
import {
  CALLER,
  change,
  getJournal,
  insertion,
  makeClaim,
  makeEntry,
  makeFilter,
  makeHeader,
  makePatch,
  ORG,
  plain,
  type Spec,
  T0,
} from "./make.ts";
import { Model } from "./model.ts";
import type { Opened } from "./suite.ts";

const ROUNDS = Number(process.env.PAWL_ROUNDS ?? 3);
const BATCHES = 60;
const RUNS = 12;
const STATUSES = ["QUEUED", "RUNNING", "WAITING", "PAUSED", "COMPLETED", "FAILED"] as const;
const LANES = ["digest", "ship", "ship@2"];
const QUEUES = ["default", "gpu"];

/** A small generator whose sequence depends on its seed alone (mulberry32). */
class Random {
  #state: number;

  constructor(seed: number) {
    this.#state = seed;
  }

  next(): number {
    this.#state = (this.#state + 0x6d2b79f5) | 0;
    let t = Math.imul(this.#state ^ (this.#state >>> 15), 1 | this.#state);
    t = (t + Math.imul(t ^ (t >>> 7), 61 | t)) ^ t;
    return ((t ^ (t >>> 14)) >>> 0) / 2 ** 32;
  }

  below(n: number): number {
    return Math.floor(this.next() * n);
  }

  chance(p: number): boolean {
    return this.next() < p;
  }

  pick<T>(values: readonly T[]): T {
    const value = values[this.below(values.length)];
    if (value === undefined) throw new RangeError("Nothing to pick from.");
    return value;
  }
}

export function randomTests(get: () => Opened): void {
  describe("random batches leave what the model says", () => {
    const base = Number(process.env.PAWL_SEED ?? Math.floor(Math.random() * 2 ** 31));
    test.each(Array.from({ length: ROUNDS }, (_, i) => base + i))("PAWL_SEED=%i", async (seed) => {
      const { store } = get();
      const random = new Random(seed);
      const model = new Model();
      for (let n = 0; n < BATCHES; n += 1) {
        const batch = randomBatch(random, model, T0 + n);
        const expected = model.commit(batch);
        const actual = await store.commit(batch);
        expect(actual.confirmed).toEqual(expected.confirmed);
        expect(actual.claimed.map(comparable)).toEqual(expected.claimed.map(comparable));
      }
      await compare(store, model);
    });
  });
}

function comparable(claimed: readonly { header: object; entries: Entry[] }[]): object[] {
  return claimed.map(({ header, entries }) => ({ header, entries: entries.map(plain) }));
}

function randomBatch(random: Random, model: Model, now: number): Batch {
  const ids = Array.from({ length: RUNS }, (_, i) => `run-${i}`)
    .map((id) => ({ id, order: random.next() }))
    .sort((a, b) => a.order - b.order)
    .slice(0, random.below(RUNS))
    .map(({ id }) => id);
  // Only one write of a batch has to do with payloads: the others' are not said to be seen by it.
  const writes = ids.map((id, i) => {
    const write = randomWrite(random, model, id);
    if (i === 0) return write;
    const { payloads: _, ...changes } = write.changes;
    return { ...write, changes };
  });
  const claims = Array.from({ length: random.chance(0.4) ? 1 + random.below(2) : 0 }, () =>
    makeClaim(random.below(4), { lanes: LANES, queues: QUEUES.slice(random.below(2)) }),
  );
  return { now, writes, claims };
}

function randomWrite(random: Random, model: Model, runId: string): RunWrite {
  const run = model.header(runId);
  const extras = randomExtras(random);
  if (run === undefined || random.chance(0.05)) {
    const header = makeHeader(runId, {
      workflow: random.pick(["digest", "ship"]),
      status: random.pick(STATUSES),
      createdAt: T0 + random.below(5),
      tags: randomTags(random),
      fence: random.below(3),
    });
    const entries = [makeEntry(1), makeEntry(2)].slice(random.below(2));
    return insertion(header, { ...extras, entries: entries.map((e, i) => ({ ...e, seq: i + 1 })) });
  }
  const fence = random.chance(0.9) ? run.fence : run.fence + random.pick([-1, 1]);
  const seq = random.chance(0.9) ? run.seq : run.seq + random.pick([-1, 1]);
  if (random.chance(0.04)) {
    return change(runId, fence, seq, { entries: [], seq, deleteRun: true });
  }
  const entries = Array.from({ length: random.below(4) }, (_, i) => makeEntry(seq + 1 + i));
  if (random.chance(0.4)) return change(runId, fence, seq, { entries });
  const patch = makePatch({
    status: random.pick<RunStatus>(STATUSES),
    fence: run.fence + random.below(2),
    crashes: random.below(9),
    tags: random.chance(0.5) ? run.tags : randomTags(random),
    waiting: random.chance(0.2) ? { tree: { key: "k" }, waits: [] } : null,
  });
  const patched = random.chance(0.7) ? { patch } : {};
  return change(runId, fence, seq, { ...extras, ...patched, entries });
}

function randomTags(random: Random): Record<string, string> {
  const pairs = ["env", "team", "x"]
    .filter(() => random.chance(0.4))
    .map((key) => [key, random.pick(["1", "2"])] as const);
  return Object.fromEntries(pairs);
}

function randomDue(random: Random): DueRow {
  const kind = random.pick(["wait", "retry", "queue", "run"] as const);
  const key = kind === "queue" ? "" : random.pick(["a", "b"]);
  return { kind, key, at: T0 + random.below(100), data: random.pick(["", "d"]) };
}

/** Whatever is there, or only what is due by then. */
function randomRemoval(random: Random): DueRemoval {
  const { kind, key, at } = randomDue(random);
  return { kind, key, ...(random.chance(0.5) && { upTo: at }) };
}

/** No two rows with one key, as a write has them. */
function randomDues(random: Random): DueRow[] {
  const rows = Array.from({ length: random.below(3) }, () => randomDue(random));
  return [...new Map(rows.map((row) => [`${row.kind} ${row.key}`, row])).values()];
}

function randomExtras(random: Random): Spec {
  const sha256 = random.pick(["aa", "bb", "cc"]);
  const payloads = random.chance(0.1) ? [{ sha256, data: Buffer.from(sha256) }] : [];
  const ready = {
    queue: random.pick(QUEUES),
    lane: random.pick(LANES),
    rank: random.below(3),
    readyAt: T0 + random.below(5),
  };
  const lease = {
    connectionId: random.pick(["s1", "s2"]),
    workerId: "w",
    until: T0 + random.below(9),
  };
  const row: DueRow = { ...randomDue(random), kind: "child" };
  const elsewhere = { runId: `run-${random.below(RUNS)}`, row };
  return {
    payloads,
    payloadRefs: random.chance(0.2) ? [{ sha256, size: 2 }] : [],
    ...(random.chance(0.4) && { ready: random.chance(0.7) ? ready : "remove" }),
    ...(random.chance(0.3) && { lease: random.chance(0.6) ? lease : "remove" }),
    ...(random.chance(0.2) && { nudge: random.pick(["n1", "n2"]) }),
    duePut: randomDues(random),
    dueRemove: random.chance(0.3) ? [randomRemoval(random)] : [],
    dueClear: random.chance(0.1),
    dueElsewhere: random.chance(0.2) ? [elsewhere] : [],
  };
}

async function compare(store: Store, model: Model): Promise<void> {
  const runs = [...model.runs.entries()].sort(([a], [b]) => (a < b ? -1 : 1));
  const ids = Array.from({ length: RUNS }, (_, i) => `run-${i}`);
  const loaded = await store.loadRuns(ids.map((runId) => ({ org: ORG, runId, afterSeq: 0 })));
  expect(loaded.map((run) => run?.header)).toEqual(ids.map((id) => model.header(id)));
  for (const id of ids) {
    const journal = await getJournal(store, id);
    expect(journal).toEqual((model.runs.get(id)?.entries ?? []).map(plain));
    // Invariant 4.
    expect(journal.map(({ seq }) => seq)).toEqual(journal.map((_, i) => i + 1));
  }
  const due = runs.flatMap(([, run]) => [...run.due.values()]);
  const dueKey = (d: DueItem) => `${d.subject.id} ${d.kind} ${d.key}`;
  const sorted = (items: DueItem[]) => items.toSorted((a, b) => (dueKey(a) < dueKey(b) ? -1 : 1));
  expect(sorted((await store.due(T0 + 1_000, 10_000)).items)).toEqual(sorted(due));
  const leased = runs.filter(([, run]) => run.lease !== null);
  const leases = await store.listLeases(undefined, 1_000);
  expect(leases.map(({ runId, fence, lease }) => ({ runId, fence, lease }))).toEqual(
    leased.map(([runId, run]) => ({ runId, fence: run.header.fence, lease: run.lease })),
  );
  for (const replica of ["n1", "n2"]) {
    const nudged = runs.filter(([, run]) => run.nudges.has(replica)).map(([id]) => id);
    const taken = (await store.takeNudges(replica)).map(({ runId }) => runId);
    expect(taken.toSorted()).toEqual(nudged);
  }
  for (const [key, value] of [
    ["env", "1"],
    ["team", "2"],
    ["x", "1"],
  ] as const) {
    const { runs: found } = await store.listRuns(CALLER, makeFilter({ tags: { [key]: value } }));
    const tagged = runs.filter(([, run]) => run.header.tags[key] === value).map(([id]) => id);
    expect(found.map(({ runId }) => runId).toSorted()).toEqual(tagged);
  }
  const used = new Set(runs.flatMap(([, run]) => [...run.refs]));
  const swept = [...model.payloads].filter((sha256) => !used.has(sha256)).length;
  expect(await store.sweepPayloads(T0 + 10_000, 100)).toBe(swept);
}
