import { describe, expect, test } from "vitest";
import {
  bytes,
  change,
  claim,
  commit,
  getRun,
  insertion,
  makeClaim,
  makeEntry,
  makeHeader,
  makePatch,
  plain,
  readyRow,
  T0,
} from "./make.ts";
import type { Opened } from "./suite.ts";

export function claimTests(get: () => Opened): void {
  describe("invariant 3: a run is claimed once, and its fence and attempt rise", () => {
    test("the best runs of all lanes and queues, in order, one per slot", async () => {
      const { store } = get();
      const rows: [id: string, rank: number, at: number, lane: string, queue: string][] = [
        ["e", 4, T0 + 5, "digest", "default"],
        ["b", 4, T0 + 1, "digest@2", "default"],
        ["c", 4, T0 + 1, "digest", "fast"],
        ["a", 4, T0 + 1, "digest", "default"],
        ["f", 9, T0 - 9, "digest", "default"],
        ["d", 0, T0 + 9, "ship", "default"],
        ["not-served", 0, T0, "other", "default"],
        ["not-this-queue", 0, T0, "digest", "slow"],
      ];
      const writes = rows.map(([id, rank, readyAt, lane, queue]) =>
        insertion(makeHeader(id), { ready: { queue, lane, rank, readyAt } }),
      );
      await commit(store, ...writes);
      const where = { queues: ["fast", "default"], lanes: ["ship", "digest", "digest@2"] };
      const first = await claim(store, makeClaim(4, where));
      expect(first.map(({ header }) => header.runId)).toEqual(["d", "a", "b", "c"]);
      expect(first.map(({ header }) => header.lease?.workerId)).toEqual(["w0", "w1", "w2", "w3"]);
      const second = await claim(store, makeClaim(4, where));
      expect(second.map(({ header }) => header.runId)).toEqual(["e", "f"]);
      expect(await claim(store, makeClaim(4, where))).toEqual([]);
      expect(await claim(store, makeClaim(0, where))).toEqual([]);
    });

    test("a claim changes status, fence, attempt, times and lease", async () => {
      const { store } = get();
      const header = makeHeader("r1", { fence: 4, attempt: 2, tags: { a: "b" } });
      const due = [
        { kind: "queue", key: "", at: T0 + 1, data: "" },
        { kind: "run", key: "", at: T0 + 2, data: "" },
      ] as const;
      await commit(store, insertion(header, { ready: readyRow(T0), duePut: due }));
      const [claimed] = await claim(store, makeClaim(1), T0 + 7);
      const lease = { connectionId: "session-1", workerId: "w0", until: T0 + 15_000 };
      expect(claimed?.header).toEqual({
        ...header,
        status: "RUNNING",
        fence: 5,
        attempt: 3,
        startedAt: T0 + 7,
        updatedAt: T0 + 7,
        lease,
      });
      expect(claimed?.entries.map(plain)).toEqual([makeEntry(1)].map(plain));
      expect(await getRun(store, "r1")).toEqual(claimed?.header);
      expect((await store.due(T0 + 9, 9)).items.map(({ kind }) => kind)).toEqual(["run"]);
      expect((await commit(store, change("r1", 4, 1))).confirmed).toEqual([false]);
      expect((await commit(store, change("r1", 5, 1))).confirmed).toEqual([true]);
    });

    test("startedAt is that of the first claim", async () => {
      const { store } = get();
      const header = makeHeader("r1", { startedAt: T0 - 5 });
      await commit(store, insertion(header, { ready: readyRow(T0) }));
      const [claimed] = await claim(store, makeClaim(1), T0 + 7);
      expect(claimed?.header.startedAt).toBe(T0 - 5);
    });

    test("claims come after the writes of their batch, and after each other", async () => {
      const { store } = get();
      await commit(store, insertion(makeHeader("old"), { ready: readyRow(T0) }));
      const { confirmed, claimed } = await store.commit({
        now: T0,
        writes: [
          insertion(makeHeader("new"), { ready: readyRow(T0 + 1) }),
          change("old", 0, 1, { ready: "remove" }),
          insertion(makeHeader("second"), { ready: readyRow(T0 + 2) }),
        ],
        claims: [makeClaim(1), makeClaim(5)],
      });
      expect(confirmed).toEqual([true, true, true]);
      expect(claimed.map((runs) => runs.map(({ header }) => header.runId))).toEqual([
        ["new"],
        ["second"],
      ]);
    });

    test("a run that is ready again is claimed again, with the next fence", async () => {
      const { store } = get();
      await commit(store, insertion(makeHeader("r1"), { ready: readyRow(T0) }));
      for (let fence = 1; fence <= 3; fence += 1) {
        const [claimed] = await claim(store, makeClaim(1));
        expect(claimed?.header.fence).toBe(fence);
        expect(claimed?.header.attempt).toBe(fence);
        const patch = makePatch({ status: "QUEUED", fence, attempt: fence });
        const back = { patch, lease: "remove", ready: readyRow(T0 + fence), entries: [] } as const;
        expect((await commit(store, change("r1", fence, 1, back))).confirmed).toEqual([true]);
      }
    });

    test("a ready row moves to another queue, lane and rank", async () => {
      const { store } = get();
      await commit(store, insertion(makeHeader("r1"), { ready: readyRow(T0) }));
      const ready = readyRow(T0, { queue: "gpu", lane: "digest@7", rank: 0 });
      await commit(store, change("r1", 0, 1, { ready }));
      expect(await claim(store, makeClaim(1))).toEqual([]);
      const there = makeClaim(1, { queues: ["gpu"], lanes: ["digest@7"] });
      expect(await claim(store, there)).toHaveLength(1);
    });

    test("more runs than are read at a time come in order", async () => {
      const { store } = get();
      const ids = Array.from({ length: 250 }, (_, i) => `run-${String(i).padStart(3, "0")}`);
      const shuffled = ids.toSorted((a, b) => (a.slice(-1) < b.slice(-1) ? -1 : 1));
      await commit(
        store,
        ...shuffled.map((id) =>
          insertion(makeHeader(id), {
            ready: readyRow(T0 + Math.floor(ids.indexOf(id) / 10), {
              lane: ids.indexOf(id) % 3 === 0 ? "digest" : "ship",
            }),
          }),
        ),
      );
      const claimed = await claim(store, makeClaim(200, { lanes: ["ship", "digest"] }));
      expect(claimed.map(({ header }) => header.runId)).toEqual(ids.slice(0, 200));
    });

    test("a damaged journal hinders no claim; its entries end before the damage", async () => {
      const opened = get();
      const entries = [makeEntry(1), makeEntry(2), makeEntry(3)];
      const ids = ["r1", "r2", "r3"];
      await commit(
        opened.store,
        ...ids.map((id, i) => insertion(makeHeader(id), { entries, ready: readyRow(T0 + i) })),
      );
      await opened.meddle("UPDATE journal SET meta = '{}' WHERE run_id = 'r2' AND seq = 2");
      const claimed = await claim(opened.store, makeClaim(3));
      expect(claimed.map((run) => [run.header.runId, run.entries.length])).toEqual([
        ["r1", 3],
        ["r2", 1],
        ["r3", 3],
      ]);
    });

    test("the journal comes along up to the bytes asked, one entry at least", async () => {
      const { store } = get();
      const entries = Array.from({ length: 50 }, (_, i) =>
        makeEntry(i + 1, { payload: bytes("x".repeat(1_000)) }),
      );
      const ids = ["r1", "r2", "r3"];
      await commit(
        store,
        ...ids.map((id, i) => insertion(makeHeader(id), { entries, ready: readyRow(T0 + i) })),
      );
      const claimed = [];
      for (const journalBytes of [1, 10_000, 1_000_000]) {
        claimed.push(...(await claim(store, makeClaim(1, { journalBytes }))));
      }
      const [one, some, all] = claimed.map((run) => run.entries.map(({ seq }) => seq));
      expect(one).toEqual([1]);
      expect(some?.length).toBeGreaterThan(5);
      expect(some?.length).toBeLessThan(11);
      expect(some).toEqual(some?.map((_, i) => i + 1));
      expect(all).toHaveLength(50);
    });
  });

  test("a run is given away without a claim only if no other of its lane goes before it", async () => {
    const { store } = get();
    const given = (id: string, rank: number, lane = "digest") => {
      const lease = { connectionId: "session-1", workerId: "w", until: T0 };
      return insertion(makeHeader(id), { vacancy: readyRow(T0, { rank, lane }), lease });
    };
    await commit(store, insertion(makeHeader("ready"), { ready: readyRow(T0 + 5, { rank: 4 }) }));
    const writes = [
      given("worse", 5),
      given("same", 4),
      given("better", 3),
      given("other", 9, "x"),
    ];
    expect((await commit(store, ...writes)).confirmed).toEqual([false, false, true, true]);
    expect((await getRun(store, "better"))?.lease?.workerId).toBe("w");
    expect(await getRun(store, "same")).toBeUndefined();
    expect((await claim(store, makeClaim(4))).map(({ header }) => header.runId)).toEqual(["ready"]);
    expect((await commit(store, given("worse", 5))).confirmed).toEqual([true]);
  });

  test("a run that waited is given away on the same condition", async () => {
    const { store } = get();
    await commit(store, insertion(makeHeader("woken", { status: "WAITING", fence: 3 })));
    const write = () =>
      change("woken", 3, 1, {
        patch: makePatch({ fence: 4 }),
        vacancy: readyRow(T0),
        lease: { connectionId: "session-1", workerId: "w", until: T0 },
      });
    await commit(store, insertion(makeHeader("ready"), { ready: readyRow(T0) }));
    expect((await commit(store, write())).confirmed).toEqual([false]);
    expect((await getRun(store, "woken"))?.status).toBe("WAITING");
    await claim(store, makeClaim(1));
    expect((await commit(store, write())).confirmed).toEqual([true]);
    expect(await getRun(store, "woken")).toMatchObject({ status: "RUNNING", fence: 4 });
  });

  test("how many runs are ready in each queue, and since when", async () => {
    const { store } = get();
    expect(await store.readyQueues(10)).toEqual([]);
    const put = (runId: string, queue: string, readyAt: number) =>
      insertion(makeHeader(runId, { queue }), { ready: { ...readyRow(readyAt), queue } });
    await commit(store, put("a", "slow", T0 + 5), put("b", "slow", T0 + 2), put("c", "fast", T0));
    expect(await store.readyQueues(10)).toEqual([
      { queue: "fast", runs: 1, oldestAt: T0 },
      { queue: "slow", runs: 2, oldestAt: T0 + 2 },
    ]);
    const some = await store.readyQueues(2);
    expect(some.reduce((total, { runs }) => total + runs, 0)).toBe(2);
  });
}
