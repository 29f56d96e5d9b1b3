import { describe, expect, test } from "vitest";
import type { RunHeader, RunStatus } from "../../server/src/model/run.ts";
import type { RunFilter } from "../../server/src/store/runs.ts";
import type { Store } from "../../server/src/store/store.ts";
import {
  bytes,
  CALLER,
  change,
  commit,
  getRun,
  insertion,
  makeEntry,
  makeFilter,
  makeHeader,
  makePatch,
  ORG,
  plain,
  T0,
} from "./make.ts";
import type { Opened } from "./suite.ts";

export function readTests(get: () => Opened): void {
  describe("the journal", () => {
    const entries = Array.from({ length: 30 }, (_, i) =>
      makeEntry(i + 1, { payload: bytes("x".repeat(i === 9 ? 20_000 : 100)) }),
    );

    test("is read by pages that fit the limits and miss nothing", async () => {
      const { store } = get();
      await commit(store, insertion(makeHeader("r1"), { entries }));
      for (const limit of [
        { entries: 7, bytes: 1_000_000 },
        { entries: 1_000, bytes: 2_000 },
        { entries: 1_000, bytes: 1 },
        { entries: 30, bytes: 1_000_000 },
        { entries: 29, bytes: 1_000_000 },
      ]) {
        const seqs: number[] = [];
        for (let more = true; more; ) {
          const page = await store.readJournal(CALLER, "r1", seqs.at(-1) ?? 0, limit);
          expect(page.entries.length).toBeGreaterThan(0);
          expect(page.entries.length).toBeLessThanOrEqual(limit.entries);
          const size = page.entries.reduce((n, e) => n + (e.payload?.data?.byteLength ?? 0), 0);
          expect(page.entries.length === 1 || size <= limit.bytes).toBe(true);
          seqs.push(...page.entries.map(({ seq }) => seq));
          ({ more } = page);
        }
        expect(seqs).toEqual(entries.map(({ seq }) => seq));
      }
      const limit = { entries: 5, bytes: 1_000 };
      const nothing = { entries: [], more: false };
      expect(await store.readJournal(CALLER, "r1", 30, limit)).toEqual(nothing);
      expect(await store.readJournal(CALLER, "nobody", 0, limit)).toEqual(nothing);
    });

    test("gives single entries in the order asked", async () => {
      const { store } = get();
      await commit(store, insertion(makeHeader("r1"), { entries }));
      const read = await store.readEntries(CALLER, "r1", [30, 99, 1, 10, 1]);
      const [first, , , tenth] = [entries[0], 0, 0, entries[9]];
      const expected = [entries[29], undefined, first, tenth, first];
      expect(read.map((e) => e && plain(e))).toEqual(expected.map((e) => e && plain(e)));
      expect(await store.readEntries(CALLER, "r1", [])).toEqual([]);
    });

    test("gives no entries of another run that has the id by now", async () => {
      const { store } = get();
      const header = makeHeader("r1");
      await commit(store, insertion(header, { entries }));
      expect(await store.readEntries(CALLER, "r1", [1, 2], header.runUid)).toHaveLength(2);
      const none = await store.readEntries(CALLER, "r1", [1, 2], crypto.randomUUID());
      expect(none).toEqual([undefined, undefined]);
    });

    test("heads come with headers, after a seq", async () => {
      const { store } = get();
      await commit(store, insertion(makeHeader("r1"), { entries }), insertion(makeHeader("r2")));
      const at = (runId: string, afterSeq: number) => ({ org: ORG, runId, afterSeq });
      const loaded = await store.loadRuns([
        at("r2", 0),
        at("nobody", 0),
        at("r1", 27),
        at("r1", 30),
        at("r2", 0),
      ]);
      expect(loaded.map((run) => run?.entries.map(({ seq }) => seq))).toEqual([
        [1],
        undefined,
        [28, 29, 30],
        [],
        [1],
      ]);
      const { payload: _, ...head } = makeEntry(28);
      expect(loaded[2]?.entries[0]).toEqual(head);
      expect(await store.loadRuns([])).toEqual([]);
    });

    test.each([
      ["payload", "payload = zeroblob(7)", "payload = decode('00000000000000', 'hex')"],
      ["type", "type = 'workflow.step.failed'", undefined],
      ["key", "step_key = 'step#3'", undefined],
      ["attempt", "attempt = 2", undefined],
      ["meta", `meta = '{"worker":"worker-2"}'`, undefined],
      ["encoding", "encoding = 'bytes'", undefined],
      ["missing payload", "payload = NULL", undefined],
    ])("that was changed on the disk is noticed: %s", async (_, sqlite, postgres) => {
      const opened = get();
      await commit(opened.store, insertion(makeHeader("r1"), { entries: [makeEntry(1)] }));
      await commit(opened.store, change("r1", 0, 1, { entries: [makeEntry(2), makeEntry(3)] }));
      const set = opened.store.kind === "sqlite" ? sqlite : (postgres ?? sqlite);
      await opened.meddle(`UPDATE journal SET ${set} WHERE run_id = 'r1' AND seq = 2`);
      const { store } = opened;
      const page = store.readJournal(CALLER, "r1", 0, { entries: 10, bytes: 10_000 });
      await expect(page).rejects.toThrow(/corrupted: entry 2 of run "r1"/);
      await expect(page).rejects.toMatchObject({ corrupted: { runId: "r1", seq: 2 } });
      await expect(store.readEntries(CALLER, "r1", [3, 2])).rejects.toThrow(/corrupted/);
      expect(await store.readEntries(CALLER, "r1", [3])).toHaveLength(1);
    });
  });

  describe("lists of runs", () => {
    const statuses: readonly RunStatus[] = ["QUEUED", "RUNNING", "WAITING", "COMPLETED", "FAILED"];

    /** Many with the same creation time, so that the run id has to decide. */
    function population(): RunHeader[] {
      return Array.from({ length: 60 }, (_, i) =>
        makeHeader(`run-${(i * 37) % 60}`, {
          workflow: i % 4 === 0 ? "ship" : "digest",
          status: statuses[i % statuses.length] ?? "QUEUED",
          createdAt: T0 + Math.floor(i / 7),
          parentRunId: i % 6 === 1 ? "parent" : "",
          tags: i % 3 === 0 ? { env: "prod", n: String(i % 2) } : { env: "test" },
        }),
      );
    }

    const filters: [string, Partial<RunFilter>][] = [
      ["everything", {}],
      ["one status", { statuses: ["COMPLETED"] }],
      ["several statuses", { statuses: ["FAILED", "QUEUED", "COMPLETED"] }],
      ["a status that none has", { statuses: ["CANCELLED"] }],
      ["a workflow", { workflow: "ship" }],
      ["an unknown workflow", { workflow: "nothing" }],
      ["a workflow and statuses", { workflow: "digest", statuses: ["RUNNING", "FAILED"] }],
      ["a workflow and COMPLETED", { workflow: "digest", statuses: ["COMPLETED", "FAILED"] }],
      ["a tag", { tags: { env: "prod" } }],
      ["two tags", { tags: { env: "prod", n: "1" } }],
      ["a tag with another value", { tags: { env: "prod", n: "7" } }],
      ["a tag, a workflow and statuses", { tags: { env: "test" }, workflow: "digest", statuses }],
      ["a parent", { parentRunId: "parent" }],
      ["a parent and a status", { parentRunId: "parent", statuses: ["RUNNING", "QUEUED"] }],
      ["a parent and a tag", { parentRunId: "parent", tags: { env: "test" } }],
    ];

    function matches(header: RunHeader, filter: RunFilter): boolean {
      return (
        (filter.statuses.length === 0 || filter.statuses.includes(header.status)) &&
        (filter.workflow === undefined || header.workflow === filter.workflow) &&
        (filter.parentRunId === undefined || header.parentRunId === filter.parentRunId) &&
        Object.entries(filter.tags).every(([key, value]) => header.tags[key] === value)
      );
    }

    async function listAll(store: Store, filter: RunFilter): Promise<string[]> {
      const ids: string[] = [];
      let after: RunFilter["after"];
      for (;;) {
        const page = await store.listRuns(CALLER, { ...filter, ...(after && { after }) });
        expect(page.runs.length).toBeLessThanOrEqual(filter.limit);
        ids.push(...page.runs.map(({ runId }) => runId));
        const last = page.runs.at(-1);
        if (!page.more || last === undefined) return ids;
        after = { createdAt: last.createdAt, runId: last.runId };
      }
    }

    test.each(filters)("by %s: newest first, page by page", async (_, with_) => {
      const { store } = get();
      const headers = population();
      await commit(store, ...headers.map((header) => insertion(header)));
      const expected = headers
        .filter((header) => matches(header, makeFilter(with_)))
        .sort((a, b) => b.createdAt - a.createdAt || (a.runId < b.runId ? 1 : -1))
        .map(({ runId }) => runId);
      for (const limit of [1, 7, 100]) {
        expect(await listAll(store, makeFilter({ ...with_, limit }))).toEqual(expected);
      }
    });

    test("a list has whole headers, leases included, and follows changes of status", async () => {
      const { store } = get();
      const lease = { connectionId: "s", workerId: "w", until: T0 };
      await commit(store, insertion(makeHeader("r1"), { lease }), insertion(makeHeader("r2")));
      await commit(store, change("r1", 0, 1, { patch: makePatch({ status: "FAILED" }) }));
      const { runs } = await store.listRuns(CALLER, makeFilter({ statuses: ["FAILED"] }));
      expect(runs).toEqual([await getRun(store, "r1")]);
      expect(runs[0]?.lease).toEqual(lease);
      const queued = await store.listRuns(CALLER, makeFilter({ statuses: ["QUEUED"] }));
      expect(queued.runs.map(({ runId }) => runId)).toEqual(["r2"]);
    });
  });
}
