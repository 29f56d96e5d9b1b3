import { describe, expect, test } from "vitest";
import type { DeltaChunk, NewChunk } from "../../server/src/store/deltas.ts";
import type { Store } from "../../server/src/store/store.ts";
import {
  CALLER,
  change,
  commit,
  insertion,
  makeEntry,
  makeHeader,
  makePatch,
  ORG,
  T0,
} from "./make.ts";
import type { Opened } from "./suite.ts";

function makeChunk(first: number, last: number, with_: Partial<NewChunk> = {}): NewChunk {
  const data = Buffer.from(`${first}-${last}`);
  return { fence: 1, first, last, at: T0, keep: false, steps: '[["a",1]]', data, ...with_ };
}

function put(store: Store, runId: string, ...chunks: NewChunk[]) {
  return store.putDeltas(chunks.map((chunk) => ({ org: ORG, runId, chunk })));
}

/** Runs that workers hold under fence 1. */
function held(store: Store, ...runIds: string[]) {
  const headers = runIds.map((runId) => makeHeader(runId, { status: "RUNNING", fence: 1 }));
  return commit(store, ...headers.map((header) => insertion(header)));
}

const ALL = { entries: 1_000, bytes: 1_000_000 };
const START = { fence: 0, number: 0 };

/** `fence.first-last`, and what it holds. */
function names(chunks: readonly DeltaChunk[]): string[] {
  return chunks.map(({ fence, first, last, data }) => {
    return `${fence}.${first}-${last} ${Buffer.from(data).toString("utf8")}`;
  });
}

async function kept(store: Store, runId: string): Promise<string[]> {
  return names((await store.readDeltas(CALLER, runId, START, ALL)).chunks);
}

export function deltaTests(get: () => Opened): void {
  describe("putting deltas", () => {
    test("takes them from the holder of the run, and from nobody else", async () => {
      const { store } = get();
      await held(store, "r1");
      await commit(
        store,
        insertion(makeHeader("lapsed", { status: "QUEUED", fence: 1, startedAt: T0 })),
        insertion(makeHeader("cancelling", { status: "CANCELLING", fence: 1 })),
        insertion(makeHeader("waiting", { status: "WAITING", fence: 1 })),
        insertion(makeHeader("over", { status: "COMPLETED", fence: 1, endedAt: T0 })),
      );
      const chunk = makeChunk(1, 2);
      const runs = ["r1", "nobody", "lapsed", "cancelling", "waiting", "over"];
      const chunks = runs.map((runId) => ({ org: ORG, runId, chunk }));
      const foreign = { org: "other", runId: "r1", chunk };
      const early = { org: ORG, runId: "r1", chunk: makeChunk(3, 3, { fence: 2 }) };
      expect(await store.putDeltas([...chunks, foreign, early])).toEqual([
        "kept",
        "stale",
        "kept",
        "kept",
        "stale",
        "stale",
        "stale",
        "stale",
      ]);
      expect(await store.putDeltas([])).toEqual([]);
      expect(await kept(store, "r1")).toEqual(["1.1-2 1-2"]);
      await commit(store, change("r1", 1, 1, { patch: makePatch({ fence: 2 }) }));
      expect(await put(store, "r1", makeChunk(3, 3))).toEqual(["stale"]);
      expect(await put(store, "r1", makeChunk(1, 1, { fence: 2 }))).toEqual(["kept"]);
      expect(await kept(store, "r1")).toEqual(["1.1-2 1-2", "2.1-1 1-1"]);
    });

    test("knows what came before, also where it is cut otherwise", async () => {
      const { store } = get();
      await held(store, "r1");
      expect(await put(store, "r1", makeChunk(1, 3), makeChunk(4, 6))).toEqual(["kept", "kept"]);
      expect(await put(store, "r1", makeChunk(1, 3))).toEqual(["known"]);
      expect(await put(store, "r1", makeChunk(4, 5))).toEqual(["known"]);
      // A longer one has all that the shorter ones had.
      expect(await put(store, "r1", makeChunk(1, 8))).toEqual(["kept"]);
      expect(await kept(store, "r1")).toEqual(["1.1-8 1-8"]);
      expect(await put(store, "r1", makeChunk(9, 9))).toEqual(["kept"]);
      expect(await kept(store, "r1")).toEqual(["1.1-8 1-8", "1.9-9 9-9"]);
    });

    test("puts them after the run's last entry, or before those of a commit", async () => {
      const { store } = get();
      await held(store, "r1");
      await put(store, "r1", makeChunk(1, 1));
      const entries = [makeEntry(2), makeEntry(3)];
      await commit(store, change("r1", 1, 1, { entries, deltas: [makeChunk(2, 4)] }));
      await put(store, "r1", makeChunk(5, 5, { keep: true, at: T0 + 7, steps: "[]" }));
      const heads = await store.deltaHeads(CALLER, "r1");
      expect(heads.map(({ first, afterSeq }) => [first, afterSeq])).toEqual([
        [1, 1],
        [2, 1],
        [5, 3],
      ]);
      const { chunks } = await store.readDeltas(CALLER, "r1", START, ALL);
      expect(chunks.map(({ data, ...head }) => head)).toEqual(heads);
      expect(heads.at(-1)).toEqual({
        ...{ fence: 1, first: 5, last: 5, afterSeq: 3 },
        ...{ at: T0 + 7, keep: true, steps: "[]" },
      });
      // One that fails leaves none of its deltas.
      const late = change("r1", 1, 1, { deltas: [makeChunk(6, 6)] });
      expect((await commit(store, late)).confirmed).toEqual([false]);
      expect(await kept(store, "r1")).toHaveLength(3);
    });

    test("they are there when the store is opened again", async () => {
      const opened = get();
      await held(opened.store, "r1");
      await put(opened.store, "r1", makeChunk(1, 1));
      const store = await opened.reopen();
      expect(await kept(store, "r1")).toEqual(["1.1-1 1-1"]);
    });
  });

  describe("reading deltas", () => {
    test("is by pages that fit the limits and miss nothing, from any place", async () => {
      const { store } = get();
      await held(store, "r1", "r2");
      const chunks = Array.from({ length: 12 }, (_, i) =>
        makeChunk(3 * i + 1, 3 * i + 3, { data: Buffer.alloc(i === 5 ? 5_000 : 100, i) }),
      );
      await put(store, "r1", ...chunks);
      await put(store, "r2", makeChunk(1, 1));
      await commit(store, change("r1", 1, 1, { patch: makePatch({ fence: 4 }) }));
      await put(store, "r1", makeChunk(2, 9, { fence: 4 }));
      const all = await kept(store, "r1");
      expect(all).toHaveLength(13);
      for (const limit of [
        { entries: 1, bytes: 1_000_000 },
        { entries: 5, bytes: 1_000_000 },
        { entries: 100, bytes: 450 },
        { entries: 100, bytes: 1 },
        { entries: 13, bytes: 1_000_000 },
      ]) {
        const read: DeltaChunk[] = [];
        let place = START;
        for (let more = true; more; ) {
          const page = await store.readDeltas(CALLER, "r1", place, limit);
          expect(page.chunks.length).toBeGreaterThan(0);
          expect(page.chunks.length).toBeLessThanOrEqual(limit.entries);
          const size = page.chunks.reduce((sum, { data }) => sum + data.byteLength, 0);
          expect(page.chunks.length === 1 || size <= limit.bytes).toBe(true);
          read.push(...page.chunks);
          const end = page.chunks.at(-1);
          if (end !== undefined) place = { fence: end.fence, number: end.last };
          ({ more } = page);
        }
        expect(names(read)).toEqual(all);
      }
      const after = async (fence: number, number: number) =>
        names((await store.readDeltas(CALLER, "r1", { fence, number }, ALL)).chunks);
      // A place within a chunk has that chunk still to come, its end has not.
      expect(await after(1, 4)).toEqual(all.slice(1));
      expect(await after(1, 5)).toEqual(all.slice(1));
      expect(await after(1, 6)).toEqual(all.slice(2));
      expect(await after(1, 0x7fff_ffff)).toEqual(all.slice(12));
      expect(await after(2, 0)).toEqual(all.slice(12));
      expect(await after(4, 8)).toEqual(all.slice(12));
      expect(await after(4, 9)).toEqual([]);
      const nothing = { chunks: [], more: false };
      expect(await store.readDeltas({ org: "other" }, "r1", START, ALL)).toEqual(nothing);
      expect(await store.deltaHeads({ org: "other" }, "r1")).toEqual([]);
    });
  });

  describe("old deltas", () => {
    test("their runs are found by pages, without those that keep all of theirs", async () => {
      const { store } = get();
      await held(store, "r1", "r2", "r3", "r4", "kept");
      for (const runId of ["r3", "r1", "r4"])
        await put(store, runId, makeChunk(1, 1), makeChunk(2, 2));
      await put(store, "kept", makeChunk(1, 1, { keep: true }));
      const run = (runId: string) => ({ org: ORG, runId });
      expect(await store.deltaRuns(undefined, 10)).toEqual(["r1", "r3", "r4"].map(run));
      expect(await store.deltaRuns(undefined, 2)).toEqual(["r1", "r3"].map(run));
      expect(await store.deltaRuns(run("r3"), 2)).toEqual([run("r4")]);
      expect(await store.deltaRuns(run("r4"), 2)).toEqual([]);
    });

    test("exactly those that are named go", async () => {
      const { store } = get();
      await held(store, "r1", "r2");
      for (const runId of ["r1", "r2"])
        await put(store, runId, makeChunk(1, 2), makeChunk(3, 4), makeChunk(5, 6));
      const gone = [
        { fence: 1, first: 3 },
        { fence: 2, first: 1 },
        { fence: 1, first: 4 },
      ];
      await store.deleteDeltas(CALLER, "r1", gone);
      expect(await kept(store, "r1")).toEqual(["1.1-2 1-2", "1.5-6 5-6"]);
      await store.deleteDeltas(CALLER, "r1", []);
      await store.deleteDeltas({ org: "other" }, "r1", [{ fence: 1, first: 1 }]);
      await store.deleteDeltas(CALLER, "r1", [
        { fence: 1, first: 1 },
        { fence: 1, first: 5 },
      ]);
      expect(await kept(store, "r1")).toEqual([]);
      expect(await kept(store, "r2")).toHaveLength(3);
      expect(await store.deltaRuns(undefined, 10)).toEqual([{ org: ORG, runId: "r2" }]);
    });
  });

  describe("for followers", () => {
    test("marks say how far runs have progressed", async () => {
      const { store } = get();
      await held(store, "r1", "r2");
      await commit(store, insertion(makeHeader("r3", { status: "QUEUED", fence: 7 })));
      await put(store, "r1", makeChunk(1, 4));
      const entries = [makeEntry(2), makeEntry(3)];
      const patch = makePatch({ fence: 2, status: "CANCELLING" });
      await commit(store, change("r1", 1, 1, { entries, patch }));
      await put(store, "r1", makeChunk(1, 2, { fence: 2 }), makeChunk(3, 9, { fence: 2 }));
      const refs = ["r3", "nobody", "r1", "r2", "r1"].map((runId) => ({ org: ORG, runId }));
      const none = START;
      const first = { seq: 3, fence: 2, status: "CANCELLING", leased: true };
      const r1 = { ...first, delta: { fence: 2, number: 9 } };
      expect(await store.runMarks([...refs, { org: "other", runId: "r1" }])).toEqual([
        { seq: 1, fence: 7, status: "QUEUED", leased: false, delta: none },
        undefined,
        r1,
        { seq: 1, fence: 1, status: "RUNNING", leased: true, delta: none },
        r1,
        undefined,
      ]);
      expect(await store.runMarks([])).toEqual([]);
    });

    test("runs that have ended are found by their ends, those of one moment by their ids", async () => {
      const { store } = get();
      await held(store, "running");
      const ends: [string, number][] = [
        ["b", 20],
        ["a", 20],
        ["late", 30],
        ["early", 10],
      ];
      for (const [runId, after] of ends) {
        const header = makeHeader(runId, { status: "COMPLETED", fence: 1, endedAt: T0 + after });
        await commit(store, insertion(header));
      }
      const from = async (endedAt: number, runId: string, limit = 10) =>
        (await store.endedSince(CALLER, { endedAt, runId }, limit)).map((run) => run.runId);
      expect(await from(0, "")).toEqual(["early", "a", "b", "late"]);
      expect(await from(0, "", 2)).toEqual(["early", "a"]);
      expect(await from(T0 + 20, "a")).toEqual(["b", "late"]);
      expect(await from(T0 + 20, "", 1)).toEqual(["a"]);
      expect(await from(T0 + 30, "late")).toEqual([]);
      expect(await store.endedSince({ org: "other" }, { endedAt: 0, runId: "" }, 10)).toEqual([]);
    });
  });
}
