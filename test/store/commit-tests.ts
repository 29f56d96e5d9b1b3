import { describe, expect, test } from "vitest";
import type { Entry } from "../../server/src/model/entry.ts";
import type { RunWrite } from "../../server/src/store/runs.ts";
import { StoreError } from "../../server/src/store/store-error.ts";
import {
  bytes,
  CALLER,
  change,
  claim,
  commit,
  getJournal,
  getRun,
  insertion,
  makeClaim,
  makeEntry,
  makeFilter,
  makeHeader,
  makePatch,
  ORG,
  plain,
  readyRow,
  type Spec,
  T0,
} from "./make.ts";
import type { Opened } from "./suite.ts";

/** One of everything that a write can carry besides its run and entries. */
function everything(with_: Spec = {}): Spec {
  return {
    ready: readyRow(T0),
    lease: { connectionId: "session-9", workerId: "worker-9", until: T0 + 9 },
    duePut: [{ kind: "wait", key: "sleep:nap", at: T0 + 5, data: "" }],
    dueElsewhere: [
      { runId: "other", row: { kind: "child", key: "child:c", at: T0 + 6, data: "r" } },
    ],
    nudge: "replica-9",
    payloads: [{ sha256: "aa", data: Buffer.from("large") }],
    payloadRefs: [{ sha256: "aa", size: 5 }],
    ...with_,
  };
}

async function expectNothingOfEverything({ store }: Opened): Promise<void> {
  expect((await store.due(T0 + 100, 10)).items).toEqual([]);
  expect(await store.listLeases(undefined, 10)).toEqual([]);
  expect(await store.takeNudges("replica-9")).toEqual([]);
  expect(await store.getPayload(CALLER, "aa", 0, 10)).toBeUndefined();
  expect(await claim(store, makeClaim(5))).toEqual([]);
}

export function commitTests(get: () => Opened): void {
  describe("new runs and their entries", () => {
    test("a header comes back as it was", async () => {
      const { store } = get();
      const header = makeHeader("r1", {
        workflow: "ship",
        version: "2026-11",
        queue: "gpu",
        priority: 9,
        status: "WAITING",
        reason: "RETRIES_EXHAUSTED",
        intent: "pause",
        fence: 4_000,
        attempt: 7,
        crashes: 3,
        inputDigest: "f".repeat(64),
        parentRunId: "parent-1",
        parentKey: "child:ship",
        createdAt: T0 + 1,
        startAt: T0 + 2,
        startedAt: T0 + 3,
        updatedAt: T0 + 4,
        endedAt: T0 + 5,
        options: { sessionId: "s", userId: "u", runTimeoutMs: 5, idempotencyKey: "k" },
        tags: { env: "prod", größe: "klein", empty: "" },
        waiting: {
          tree: { needed: 1, members: [{ key: "signal:go" }, { key: "sleep:1" }] },
          waits: [{ key: "signal:go", kind: "signal", name: "go", since: T0, due: T0 + 9 }],
        },
      });
      expect((await commit(store, insertion(header))).confirmed).toEqual([true]);
      expect(await getRun(store, "r1")).toEqual({ ...header, seq: 1 });
    });

    test("entries come back byte for byte", async () => {
      const { store } = get();
      const all = Uint8Array.from({ length: 256 }, (_, i) => i);
      const entries: Entry[] = [
        makeEntry(1, { payload: undefined, meta: {} }),
        makeEntry(2, { payload: { encoding: "void", data: new Uint8Array(0) } }),
        makeEntry(3, { payload: { encoding: "bytes", data: all } }),
        makeEntry(4, { payload: { encoding: "json", data: all.subarray(100, 104) } }),
        makeEntry(5, { payload: bytes("0"), key: "sum[ü/☃]", attempt: 12 }),
        makeEntry(6, {
          type: "workflow.step.failed",
          payload: undefined,
          meta: {
            name: "call",
            failure: { type: "E", message: "m\u0000\n", cause: { type: "C", message: "" } },
            superseded: ["a", "b"],
            until: T0 + 0.5,
            details: { "": "" },
          },
        }),
        makeEntry(7, { payload: { encoding: "bytes", data: new Uint8Array(200_000).fill(7) } }),
      ];
      await commit(store, insertion(makeHeader("r1"), { entries }));
      expect(await getJournal(store, "r1")).toEqual(entries.map(plain));
    });

    test("a payload in the payload table is a reference in its entry", async () => {
      const { store } = get();
      const ref = { sha256: "ab", size: 100_000 };
      const blob = { sha256: "ab", data: Buffer.alloc(100_000, 1) };
      const entries = [makeEntry(1, { payload: { encoding: "bytes", ref } })];
      const write = insertion(makeHeader("r1"), { entries, payloads: [blob], payloadRefs: [ref] });
      expect((await commit(store, write)).confirmed).toEqual([true]);
      expect(await getJournal(store, "r1")).toEqual(entries);
      expect((await store.getPayload(CALLER, "ab", 0, 1))?.size).toBe(100_000);
    });
  });

  describe("invariant 2: a write is applied only to the version that it expects", () => {
    test("a hot write raises seq and updatedAt, and nothing else", async () => {
      const { store } = get();
      const header = makeHeader("r1", { fence: 3, status: "RUNNING" });
      await commit(store, insertion(header));
      expect((await commit(store, change("r1", 3, 1))).confirmed).toEqual([true]);
      expect(await getRun(store, "r1")).toEqual({ ...header, seq: 2, updatedAt: T0 + 2 });
      expect(await getJournal(store, "r1")).toHaveLength(2);
    });

    const stale: [string, RunWrite][] = [
      ["a lower fence", change("r1", 2, 1, everything())],
      ["a higher fence", change("r1", 4, 1, everything())],
      ["a lower seq", change("r1", 3, 0, everything())],
      ["a higher seq", change("r1", 3, 2, everything())],
      ["a run that is not there", change("r2", 3, 1, everything())],
      ["a patch at a lower fence", change("r1", 2, 1, everything({ patch: makePatch() }))],
      ["a deletion at a lower seq", change("r1", 3, 0, { entries: [], seq: 0, deleteRun: true })],
      [
        "a new run whose id is taken",
        insertion(makeHeader("r1", { tags: { a: "b" }, fence: 3 }), everything()),
      ],
    ];
    test.each(stale)("%s: nothing of the write is applied, all of the others", async (_, write) => {
      const opened = get();
      const { store } = opened;
      const header = makeHeader("r1", { fence: 3, status: "RUNNING" });
      await commit(store, insertion(header), insertion(makeHeader("other", { status: "RUNNING" })));
      const { confirmed } = await commit(
        store,
        insertion(makeHeader("before", { status: "RUNNING" })),
        write,
        change("other", 0, 1),
      );
      expect(confirmed).toEqual([true, false, true]);
      expect(await getRun(store, "r1")).toEqual(header);
      expect(await getJournal(store, "r1")).toHaveLength(1);
      expect(await getRun(store, "r2")).toBeUndefined();
      expect(await getJournal(store, "r2")).toEqual([]);
      expect((await getRun(store, "other"))?.seq).toBe(2);
      expect((await store.listRuns(CALLER, makeFilter({ tags: { a: "b" } }))).runs).toEqual([]);
      await expectNothingOfEverything(opened);
    });

    test("a reference to a payload that is not stored is not recorded", async () => {
      const opened = get();
      const { store } = opened;
      await commit(store, insertion(makeHeader("r1")));
      const ref = { sha256: "gone", size: 9 };
      const write = change("r1", 0, 1, { ...everything(), payloads: [], payloadRefs: [ref] });
      expect((await commit(store, write)).confirmed).toEqual([false]);
      const insert = insertion(makeHeader("r2"), { payloadRefs: [ref] });
      expect((await commit(store, insert)).confirmed).toEqual([false]);
      expect((await getRun(store, "r1"))?.seq).toBe(1);
      expect(await getRun(store, "r2")).toBeUndefined();
      await expectNothingOfEverything(opened);
      await store.putPayload(CALLER, { sha256: "gone", data: Buffer.from("123456789") }, T0);
      expect((await commit(store, write)).confirmed).toEqual([true]);
    });

    test("a patch is refused where the run is to be paused by now, a step is not", async () => {
      const { store } = get();
      const header = makeHeader("r1", { status: "RUNNING", fence: 1 });
      await commit(store, insertion(header));
      const paused = makePatch({ fence: 1, intent: "pause" });
      const pause = change("r1", 1, 1, { entries: [], patch: paused });
      expect((await commit(store, pause)).confirmed).toEqual([true]);
      const patch = makePatch({ fence: 1, status: "WAITING", intent: "none" });
      const suspend = (seq: number, intent: "none" | "pause"): RunWrite =>
        change("r1", 1, seq, { patch, expect: { fence: 1, seq, intent } });
      expect((await commit(store, suspend(1, "none"))).confirmed).toEqual([false]);
      const step = change("r1", 1, 1, { expect: { fence: 1, seq: 1, intent: "none" } });
      expect((await commit(store, step)).confirmed).toEqual([true]);
      expect((await commit(store, suspend(2, "pause"))).confirmed).toEqual([true]);
    });

    test("a batch of many runs is confirmed one by one", async () => {
      const { store } = get();
      const ids = Array.from({ length: 300 }, (_, i) => `run-${(i * 7919) % 300}`);
      const first = await commit(store, ...ids.map((id) => insertion(makeHeader(id))));
      expect(first.confirmed).toEqual(ids.map(() => true));
      const second = ids.map((id, i) => change(id, 0, i % 3 === 0 ? 5 : 1));
      expect((await commit(store, ...second)).confirmed).toEqual(ids.map((_, i) => i % 3 !== 0));
      const loaded = await store.loadRuns(ids.map((runId) => ({ org: ORG, runId, afterSeq: 0 })));
      expect(loaded.map((run) => run?.header.seq)).toEqual(ids.map((_, i) => (i % 3 ? 2 : 1)));
    });
  });

  describe("invariant 1: a batch is one transaction", () => {
    test("if one write fails, nothing of its batch is there, and the next commit works", async () => {
      const opened = get();
      const { store } = opened;
      await commit(store, insertion(makeHeader("r1")));
      const broken = change("r1", 0, 1, { entries: [makeEntry(1)] });
      const batch = commit(store, insertion(makeHeader("r2"), everything()), broken);
      await expect(batch).rejects.toThrow(StoreError);
      expect(await getRun(store, "r2")).toBeUndefined();
      expect((await getRun(store, "r1"))?.seq).toBe(1);
      await expectNothingOfEverything(opened);
      expect((await commit(store, change("r1", 0, 1))).confirmed).toEqual([true]);
    });

    test("what was committed is there after a restart", async () => {
      const opened = get();
      await commit(opened.store, insertion(makeHeader("r1"), everything()));
      const journal = await getJournal(opened.store, "r1");
      const header = await getRun(opened.store, "r1");
      const store = await opened.reopen();
      expect(await getRun(store, "r1")).toEqual(header);
      expect(await getJournal(store, "r1")).toEqual(journal);
      expect((await store.due(T0 + 100, 10)).items).toHaveLength(1);
    });

    test("an empty batch is nothing", async () => {
      const { store } = get();
      const result = await store.commit({ now: T0, writes: [], claims: [] });
      expect(result).toEqual({ confirmed: [], recorded: [], claimed: [] });
    });
  });

  describe("what a write changes besides the journal", () => {
    test("a patch replaces the mutable columns, tags and their index included", async () => {
      const { store } = get();
      const header = makeHeader("r1", { tags: { env: "prod", team: "a" } });
      await commit(store, insertion(header));
      const patch = makePatch({
        status: "FAILED",
        reason: "CRASH_LOOP",
        intent: "cancel",
        fence: 9,
        attempt: 8,
        crashes: 7,
        startedAt: T0 + 1,
        endedAt: T0 + 2,
        tags: { env: "prod", team: "b" },
        waiting: { tree: { key: "k" }, waits: [] },
      });
      await commit(store, change("r1", 0, 1, { patch }));
      expect(await getRun(store, "r1")).toEqual({ ...header, ...patch, seq: 2, updatedAt: T0 + 2 });
      const byTag = async (tags: Record<string, string>) =>
        (await store.listRuns(CALLER, makeFilter({ tags }))).runs.length;
      expect(await byTag({ env: "prod" })).toBe(1);
      expect(await byTag({ team: "b" })).toBe(1);
      expect(await byTag({ team: "a" })).toBe(0);
      await commit(store, change("r1", 9, 2, { patch: makePatch({ fence: 9 }) }));
      expect(await byTag({ env: "prod" })).toBe(0);
      expect((await getRun(store, "r1"))?.waiting).toBeNull();
    });

    test("due work is put, replaced, removed and cleared", async () => {
      const { store } = get();
      const keys = async () =>
        (await store.due(T0 + 1_000, 100)).items.map(({ kind, key, at, data }) =>
          [kind, key, at - T0, data].join(" ").trimEnd(),
        );
      const put = (kind: "wait" | "retry", key: string, at: number, data = "") =>
        ({ kind, key, at: T0 + at, data }) as const;
      await commit(
        store,
        insertion(makeHeader("r1"), { duePut: [put("wait", "a", 1), put("wait", "b", 2)] }),
        insertion(makeHeader("r2"), { duePut: [put("wait", "a", 3)] }),
      );
      expect(await keys()).toEqual(["wait a 1", "wait b 2", "wait a 3"]);
      const replaced = {
        duePut: [put("wait", "a", 9, "x")],
        dueRemove: [{ kind: "wait", key: "b" }],
      };
      await commit(
        store,
        change("r1", 0, 1, { ...replaced, dueRemove: [{ kind: "wait", key: "b" }] }),
      );
      expect(await keys()).toEqual(["wait a 3", "wait a 9 x"]);
      const both = { duePut: [put("wait", "a", 4), put("retry", "a", 5)] };
      await commit(store, change("r1", 0, 2, { ...both, dueClear: true }));
      expect(await keys()).toEqual(["wait a 3", "wait a 4", "retry a 5"]);
      const same = {
        duePut: [put("wait", "a", 6)],
        dueRemove: [{ kind: "wait", key: "a" } as const],
      };
      await commit(store, change("r1", 0, 3, same));
      expect(await keys()).toEqual(["wait a 3", "retry a 5", "wait a 6"]);
      await commit(store, change("r1", 0, 4, { dueClear: true }));
      expect(await keys()).toEqual(["wait a 3"]);
    });

    test("due work elsewhere reaches runs that exist, also of the same batch", async () => {
      const { store } = get();
      const due = (runId: string, key: string) =>
        ({ runId, row: { kind: "child", key, at: T0, data: "" } }) as const;
      await commit(store, insertion(makeHeader("parent")), insertion(makeHeader("c1")));
      await commit(
        store,
        change("c1", 0, 1, { dueElsewhere: [due("parent", "child:1"), due("nobody", "child:1")] }),
        change("parent", 0, 1, { duePut: [{ kind: "wait", key: "w", at: T0 - 1, data: "" }] }),
      );
      const { items } = await store.due(T0, 10);
      expect(items.map(({ subject, key }) => `${subject.id} ${key}`)).toEqual([
        "parent w",
        "parent child:1",
      ]);
    });

    test("a lease is given, replaced and taken away", async () => {
      const { store } = get();
      const lease = { connectionId: "s1", workerId: "w1", until: T0 + 5 };
      await commit(store, insertion(makeHeader("r1"), { lease }));
      expect((await getRun(store, "r1"))?.lease).toEqual(lease);
      const other = { connectionId: "s2", workerId: "w2", until: T0 + 6 };
      await commit(store, change("r1", 0, 1, { lease: other }));
      expect((await getRun(store, "r1"))?.lease).toEqual(other);
      await commit(store, change("r1", 0, 2, { lease: "remove" }));
      expect((await getRun(store, "r1"))?.lease).toBeNull();
    });

    test("a deleted run leaves nothing behind, and can be made anew", async () => {
      const opened = get();
      const { store } = opened;
      await commit(store, insertion(makeHeader("r1", { tags: { a: "b" } }), everything()));
      await commit(store, insertion(makeHeader("r2"), { entries: [makeEntry(1), makeEntry(2)] }));
      const gone = change("r1", 0, 1, { entries: [], seq: 1, deleteRun: true });
      expect((await commit(store, gone, change("r2", 0, 2))).confirmed).toEqual([true, true]);
      expect(await getRun(store, "r1")).toBeUndefined();
      expect(await getJournal(store, "r1")).toEqual([]);
      expect((await store.listRuns(CALLER, makeFilter({ tags: { a: "b" } }))).runs).toEqual([]);
      expect(await store.sweepPayloads(T0 + 1, 10)).toBe(1);
      await expectNothingOfEverything(opened);
      expect(await getJournal(store, "r2")).toHaveLength(3);
      expect((await commit(store, insertion(makeHeader("r1")))).confirmed).toEqual([true]);
    });
  });

  test("invariant 5: organizations do not see each other", async () => {
    const { store } = get();
    const theirs = { org: "acme" };
    await commit(store, insertion(makeHeader("r1", { org: "acme", fence: 2 }), everything()));
    await commit(store, insertion(makeHeader("r1", { fence: 1 }), { ready: readyRow(T0) }));
    const loaded = await store.loadRuns([
      { org: "acme", runId: "r1", afterSeq: 0 },
      { org: ORG, runId: "r1", afterSeq: 0 },
      { org: "nobody", runId: "r1", afterSeq: 0 },
    ]);
    expect(loaded.map((run) => run?.header.fence)).toEqual([2, 1, undefined]);
    expect((await store.listRuns(theirs, makeFilter())).runs).toHaveLength(1);
    expect((await store.listRuns({ org: "nobody" }, makeFilter())).runs).toEqual([]);
    expect(await store.getPayload(CALLER, "aa", 0, 9)).toBeUndefined();
    expect(await store.getPayload(theirs, "aa", 0, 9)).toBeDefined();
    const claimed = await claim(store, makeClaim(5, { org: "acme" }));
    expect(claimed.map(({ header }) => [header.org, header.fence])).toEqual([["acme", 3]]);
    expect((await commit(store, change("r1", 3, 1))).confirmed).toEqual([false]);
  });
}
