/**
 * Several replicas on one PostgreSQL. Goal: however they race, each run is claimed once, each
 * version of a run is followed by one write, and nobody waits for nobody forever. Method: stores
 * with connections of their own on one database, all working at once.
 */
import pg from "pg";
import { afterEach, beforeEach, expect, test } from "vitest";
import { openStore } from "../../server/src/store/open.ts";
import type { Store } from "../../server/src/store/store.ts";
import { createDatabase } from "../harness/database.ts";
import {
  CALLER,
  change,
  claim,
  commit,
  getJournal,
  getRun,
  insertion,
  makeClaim,
  makeHeader,
  makePatch,
  ORG,
  readyRow,
  type Spec,
  T0,
} from "./make.ts";

let url = "";
let stores: Store[] = [];

beforeEach(async () => {
  url = await createDatabase("replicas");
  stores = [await openStore(url)];
  stores.push(...(await Promise.all([openStore(url), openStore(url)])));
});

afterEach(async () => {
  await Promise.all(stores.map((store) => store.close()));
});

function store(i: number): Store {
  const found = stores[i];
  if (found === undefined) throw new RangeError("There are three replicas.");
  return found;
}

function numbered(count: number): string[] {
  return Array.from({ length: count }, (_, i) => `run-${String(i).padStart(4, "0")}`);
}

test("racing claims: every run goes to one replica, none is left", async () => {
  const ids = numbered(600);
  const writes = ids.map((id, i) => {
    const lane = i % 2 === 0 ? "digest" : "ship";
    return insertion(makeHeader(id), { ready: readyRow(T0 + i, { lane }) });
  });
  await commit(store(0), ...writes);
  const got: string[] = [];
  await Promise.all(
    stores.map(async (replica) => {
      for (let empty = 0; empty < 3; ) {
        const runs = await claim(replica, makeClaim(7, { lanes: ["digest", "ship"] }));
        empty = runs.length === 0 ? empty + 1 : 0;
        got.push(...runs.map(({ header }) => header.runId));
        for (const { header } of runs) {
          expect(header.fence).toBe(1);
          expect(header.lease?.workerId).toMatch(/^w[0-6]$/);
        }
      }
    }),
  );
  expect(got.toSorted()).toEqual(ids);
  expect(await store(0).listLeases(undefined, 1_000)).toHaveLength(600);
});

test("racing writes: one of the same version is confirmed, and the journal has no gap", async () => {
  const ids = numbered(20);
  await commit(store(0), ...ids.map((id) => insertion(makeHeader(id))));
  let wins = 0;
  for (let seq = 1; seq <= 15; seq += 1) {
    const results = await Promise.all(
      stores.map((replica, n) => {
        const order = n === 0 ? ids : n === 1 ? ids.toReversed() : ids.toSorted(() => -1);
        return commit(replica, ...order.map((id) => change(id, 0, seq)));
      }),
    );
    wins += results.flatMap(({ confirmed }) => confirmed).filter(Boolean).length;
  }
  expect(wins).toBe(20 * 15);
  for (const id of ids) {
    const seqs = (await getJournal(store(0), id)).map(({ seq }) => seq);
    expect(seqs).toEqual(Array.from({ length: 16 }, (_, i) => i + 1));
  }
});

test("racing starts of one run: one is confirmed", async () => {
  for (const id of numbered(30)) {
    const results = await Promise.all(
      stores.map((replica, fence) => commit(replica, insertion(makeHeader(id, { fence })))),
    );
    const winners = results.map(({ confirmed }) => confirmed[0]);
    expect(winners.filter(Boolean)).toHaveLength(1);
    expect((await getRun(store(0), id))?.fence).toBe(winners.indexOf(true));
  }
});

test("claims, cancels, renewals and ends at once: no deadlock, and nothing is half done", async () => {
  const ids = numbered(120);
  await commit(
    store(0),
    ...ids.map((id, i) => insertion(makeHeader(id), { ready: readyRow(T0 + i) })),
  );
  const cancel: Spec = {
    patch: makePatch({ status: "CANCELLED", fence: 1_000 }),
    ready: "remove",
    lease: "remove",
    dueClear: true,
  };
  let ended = 0;
  await Promise.all([
    ...stores.map(async (replica, n) => {
      for (let i = 0; i < 30; i += 1) {
        const runs = await claim(replica, makeClaim(5, { until: T0 + i }));
        const writes = runs.map(({ header: { runId, fence } }) =>
          change(runId, fence, 1, {
            patch: makePatch({ status: "COMPLETED", fence }),
            lease: "remove",
            dueClear: true,
            duePut: [{ kind: "grace", key: "", at: T0 + n, data: "" }],
            dueElsewhere: [
              { runId: ids[i] ?? "", row: { kind: "child", key: "c", at: T0, data: "" } },
            ],
          }),
        );
        const { confirmed } = await commit(replica, ...writes);
        ended += confirmed.filter(Boolean).length;
      }
    }),
    (async () => {
      for (const part of [ids.slice(0, 40), ids.slice(40, 80), ids.slice(80)]) {
        const writes = part.toReversed().map((id) => change(id, 0, 1, cancel));
        const { confirmed } = await commit(store(1), ...writes);
        ended += confirmed.filter(Boolean).length;
      }
    })(),
    (async () => {
      for (let i = 0; i < 40; i += 1) await store(2).renewSession("session-1", T0 + i);
    })(),
  ]);
  expect(ended).toBe(120);
  expect(await store(0).listLeases(undefined, 10)).toEqual([]);
  expect(await claim(store(0), makeClaim(10))).toEqual([]);
});

test("a payload is never swept from under a run that refers to it", async () => {
  const ref = { sha256: "ab", size: 3 };
  for (let i = 0; i < 500; i += 1) {
    const id = `run-${i}`;
    await store(0).putPayload(CALLER, { sha256: "ab", data: Buffer.from("abc") }, T0);
    const [{ confirmed }] = await Promise.all([
      commit(store(1), insertion(makeHeader(id), { payloadRefs: [ref] })),
      store(2).sweepPayloads(T0 + 1, 10),
    ]);
    const there = (await store(0).getPayload(CALLER, "ab", 0, 3)) !== undefined;
    expect(there).toBe(confirmed[0]);
    if (confirmed[0] === true) {
      const gone = { entries: [], seq: 1, deleteRun: true } as const;
      await commit(store(0), change(id, 0, 1, gone));
      await store(0).sweepPayloads(T0 + 1, 10);
    }
  }
});

test("due work is taken by one server, and by another once the hold is over", async () => {
  const rows = Array.from(
    { length: 40 },
    (_, i) => ({ kind: "wait", key: `k${i}`, at: T0, data: "" }) as const,
  );
  await commit(store(0), insertion(makeHeader("r-due"), { duePut: rows }));
  const take = (i: number, now: number) => store(i).due(now, 15, now + 100);
  const taken = (await Promise.all([take(0, T0), take(1, T0), take(2, T0)])).flatMap(
    ({ items }) => items,
  );
  expect(new Set(taken.map(({ key }) => key)).size).toBe(taken.length);
  expect(taken[0]).toMatchObject({ at: T0, heldUntil: T0 + 100 });
  while (taken.length < 40) {
    const { items } = await take(0, T0);
    expect(items.length).toBeGreaterThan(0);
    taken.push(...items);
  }
  expect(new Set(taken.map(({ key }) => key)).size).toBe(40);
  expect(await take(1, T0 + 99)).toEqual({ items: [], nextAt: T0 + 100 });
  expect((await take(1, T0 + 100)).items).toHaveLength(15);
  await commit(store(0), change("r-due", 0, 1, { entries: [], seq: 1, deleteRun: true }));
});

test("due work for a run that is deleted at the same time does not stay behind", async () => {
  for (let i = 0; i < 30; i += 1) {
    const [parent, child] = [`parent-${i}`, `child-${i}`];
    await commit(store(0), insertion(makeHeader(parent)), insertion(makeHeader(child)));
    const row = { kind: "child", key: "c", at: T0, data: "" } as const;
    await Promise.all([
      commit(store(1), change(child, 0, 1, { dueElsewhere: [{ runId: parent, row }] })),
      commit(store(2), change(parent, 0, 1, { entries: [], seq: 1, deleteRun: true })),
    ]);
  }
  expect((await store(0).due(T0, 100)).items).toEqual([]);
});

test("wake reaches the others, not the one who calls, and not more than once per 10 ms", async () => {
  const woken = [0, 0, 0];
  for (const [i, replica] of stores.entries()) {
    replica.onWake(() => {
      woken[i] = (woken[i] ?? 0) + 1;
    });
  }
  const begin = performance.now();
  while (woken[1] === 0 || woken[2] === 0) {
    for (let i = 0; i < 50; i += 1) await store(0).wake("runs");
    await new Promise((resolve) => setTimeout(resolve, 1));
  }
  await new Promise((resolve) => setTimeout(resolve, 100));
  const windows = (performance.now() - begin) / 10;
  expect(woken[0]).toBe(0);
  expect(woken[1]).toBeLessThanOrEqual(windows + 1);
  expect(woken[2]).toBe(woken[1]);
});

test("a lost connection is made again; the listener is called then", async () => {
  const messages: string[] = [];
  const replica = await openStore(url, { onMessage: (message) => messages.push(message) });
  stores.push(replica);
  let woken = 0;
  replica.onWake(() => {
    woken += 1;
  });
  const client = new pg.Client({ connectionString: url });
  await client.connect();
  await client.query(`SELECT pg_terminate_backend(pid) FROM pg_stat_activity
    WHERE datname = current_database() AND application_name LIKE 'pawl%'`);
  await client.end();
  await expect
    .poll(() =>
      replica.ping().then(
        () => true,
        () => false,
      ),
    )
    .toBe(true);
  await expect.poll(() => woken).toBeGreaterThan(0);
  const loaded = () =>
    replica.loadRuns([{ org: ORG, runId: "r1", afterSeq: 0 }]).catch(() => "down");
  await expect.poll(loaded).toEqual([undefined]);
  expect(messages).toEqual([
    expect.stringMatching(/cannot be reached.*retrying/),
    expect.stringMatching(/Reconnected/),
  ]);
});
