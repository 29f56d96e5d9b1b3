import { describe, expect, test } from "vitest";
import type { WorkflowRow } from "../../server/src/store/registry.ts";
import {
  CALLER,
  change,
  commit,
  insertion,
  makeHeader,
  makePatch,
  ORG,
  readyRow,
  T0,
} from "./make.ts";
import type { Opened } from "./suite.ts";

export function smallTableTests(get: () => Opened): void {
  describe("due work", () => {
    test("oldest first, up to now, with the time of the next", async () => {
      const { store } = get();
      expect(await store.due(T0, 10)).toEqual({ items: [], nextAt: undefined });
      const put = (key: string, at: number) => ({ kind: "wait", key, at, data: "" }) as const;
      await commit(
        store,
        insertion(makeHeader("r1"), { duePut: [put("late", T0 + 9), put("old", T0 - 9)] }),
        insertion(makeHeader("r2"), { duePut: [put("now", T0), put("later", T0 + 10)] }),
      );
      const { items, nextAt } = await store.due(T0, 10);
      expect(items).toEqual([
        { org: ORG, runId: "r1", ...put("old", T0 - 9) },
        { org: ORG, runId: "r2", ...put("now", T0) },
      ]);
      expect(nextAt).toBe(T0 + 9);
      expect((await store.due(T0, 1)).items).toHaveLength(1);
      expect((await store.due(T0 + 99, 10)).nextAt).toBeUndefined();
    });
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

  describe("leases", () => {
    const ids = ["c", "a", "d", "b"];

    async function lend(): Promise<Opened> {
      const opened = get();
      const writes = ids.map((id, i) => {
        const lease = { connectionId: `s${i % 2}`, workerId: `w${i % 2}`, until: T0 + i };
        return insertion(makeHeader(id, { fence: i + 1 }), { lease });
      });
      await commit(opened.store, ...writes);
      return opened;
    }

    test("that ran out", async () => {
      const { store } = await lend();
      const expired = await store.expiredLeases(T0 + 2, 10);
      expect(expired).toEqual([
        {
          org: ORG,
          runId: "c",
          fence: 1,
          lease: { connectionId: "s0", workerId: "w0", until: T0 },
        },
        {
          org: ORG,
          runId: "a",
          fence: 2,
          lease: { connectionId: "s1", workerId: "w1", until: T0 + 1 },
        },
      ]);
      expect(await store.expiredLeases(T0 + 2, 1)).toHaveLength(1);
      expect(await store.expiredLeases(T0, 10)).toEqual([]);
    });

    test("all, page by page", async () => {
      const { store } = await lend();
      const first = await store.listLeases(undefined, 3);
      expect(first.map(({ runId }) => runId)).toEqual(["a", "b", "c"]);
      const rest = await store.listLeases({ org: ORG, runId: "c" }, 3);
      expect(rest.map(({ runId, fence }) => [runId, fence])).toEqual([["d", 3]]);
    });

    test("are renewed by session, with the fence as it is now", async () => {
      const { store } = await lend();
      const patch = makePatch({ fence: 70, state: "CANCELLING" });
      await commit(store, change("c", 1, 1, { patch }));
      const renewed = await store.renewSession("s0", T0 + 99);
      expect(renewed.toSorted((a, b) => a.fence - b.fence)).toEqual([
        {
          org: ORG,
          runId: "d",
          fence: 3,
          lease: { connectionId: "s0", workerId: "w0", until: T0 + 99 },
        },
        {
          org: ORG,
          runId: "c",
          fence: 70,
          lease: { connectionId: "s0", workerId: "w0", until: T0 + 99 },
        },
      ]);
      expect(await store.renewSession("nobody", T0 + 99)).toEqual([]);
      const others = await store.expiredLeases(T0 + 50, 10);
      expect(others.map(({ runId }) => runId)).toEqual(["a", "b"]);
    });

    test("are renewed one by one if the fence is right", async () => {
      const { store } = await lend();
      await commit(store, change("b", 4, 1, { lease: "remove" }));
      const renewed = await store.renewLeases(
        CALLER,
        [
          { runId: "d", fence: 3 },
          { runId: "nobody", fence: 1 },
          { runId: "c", fence: 2 },
          { runId: "b", fence: 4 },
          { runId: "a", fence: 2 },
        ],
        T0 + 99,
      );
      expect(renewed.map((run) => run?.runId)).toEqual(["d", undefined, undefined, undefined, "a"]);
      expect(renewed[0]?.lease.until).toBe(T0 + 99);
      expect((await store.expiredLeases(T0 + 50, 10)).map(({ runId }) => runId)).toEqual(["c"]);
    });

    test("are counted by session", async () => {
      const { store } = await lend();
      await commit(store, change("b", 4, 1, { lease: "remove" }));
      expect(await store.countLeases(CALLER)).toEqual(
        new Map([
          ["s0", 2],
          ["s1", 1],
        ]),
      );
      expect(await store.countLeases({ org: "acme" })).toEqual(new Map());
    });
  });

  describe("workflows and workers", () => {
    const spec = (
      name: string,
      version: string,
      with_: Partial<WorkflowRow> = {},
    ): WorkflowRow => ({
      name,
      version,
      description: `${name} ${version}`,
      inputSchema: '{"type":"object"}',
      outputSchema: "",
      metadata: "{}",
      flow: "",
      timeouts: "",
      versions: [version],
      registeredAt: T0,
      ...with_,
    });

    test("a later registration replaces the schemas and keeps the versions", async () => {
      const { store } = get();
      await store.registerWorkflows(CALLER, [spec("ship", "1"), spec("digest", "1")]);
      await store.registerWorkflows(CALLER, [spec("ship", "2", { outputSchema: "{}" })]);
      const third = spec("ship", "1", { inputSchema: "", registeredAt: T0 + 9 });
      await store.registerWorkflows(CALLER, [third]);
      await store.registerWorkflows(CALLER, []);
      expect(await store.listWorkflows(CALLER)).toEqual([
        spec("digest", "1"),
        { ...third, versions: ["2", "1"] },
      ]);
      expect(await store.listWorkflows({ org: "acme" })).toEqual([]);
    });

    test("several versions at once: the last one counts", async () => {
      const { store } = get();
      await store.registerWorkflows(CALLER, [
        spec("ship", "2"),
        spec("ship", "10"),
        spec("ship", ""),
      ]);
      const [row] = await store.listWorkflows(CALLER);
      expect(row).toEqual({ ...spec("ship", ""), versions: ["2", "10", ""] });
    });

    test("a worker is replaced by the id of its process", async () => {
      const { store } = get();
      const worker = (instanceId: string, seenAt: number, connected = true) => ({
        workerId: "host",
        instanceId,
        connected,
        seenAt,
        info: '{"slots":4}',
      });
      await store.putWorker(CALLER, worker("w1", T0));
      await store.putWorker(CALLER, worker("w2", T0 + 5));
      await store.putWorker(CALLER, worker("w1", T0 + 9, false));
      const all = [worker("w1", T0 + 9, false), worker("w2", T0 + 5)];
      expect(await store.listWorkers(CALLER, 0, 10)).toEqual(all);
      expect(await store.listWorkers(CALLER, 0, 1)).toEqual(all.slice(0, 1));
      expect(await store.listWorkers(CALLER, T0 + 9, 10)).toEqual(all.slice(0, 1));
      expect(await store.listWorkers(CALLER, T0 + 10, 10)).toEqual([]);
      await store.sweepWorkers(T0 + 9);
      expect(await store.listWorkers(CALLER, 0, 10)).toEqual(all.slice(0, 1));
    });
  });

  describe("payloads", () => {
    const data = Uint8Array.from({ length: 1_000 }, (_, i) => i % 251);
    const blob = { sha256: "ab", data };

    test("are read piece by piece", async () => {
      const { store } = get();
      await store.putPayload(CALLER, blob, T0);
      const pieces: number[] = [];
      for (let offset = 0; offset < 1_000; offset += 300) {
        const piece = await store.getPayload(CALLER, "ab", offset, 300);
        expect(piece?.size).toBe(1_000);
        pieces.push(...(piece?.data ?? []));
      }
      expect(pieces).toEqual([...data]);
      expect((await store.getPayload(CALLER, "ab", 5_000, 300))?.data.byteLength).toBe(0);
      expect((await store.getPayload(CALLER, "ab", 0, 0))?.size).toBe(1_000);
      expect(await store.getPayload(CALLER, "cd", 0, 300)).toBeUndefined();
    });

    test("are swept when old and without a reference, not before", async () => {
      const { store } = get();
      const there = async (sha256: string) =>
        (await store.getPayload(CALLER, sha256, 0, 1)) !== undefined;
      await store.putPayload(CALLER, blob, T0);
      await store.putPayload(CALLER, { ...blob, sha256: "again" }, T0);
      await store.putPayload(CALLER, { ...blob, sha256: "again" }, T0 + 9);
      const ref = { sha256: "used", size: 1_000 };
      const payloads = [{ ...blob, sha256: "used" }];
      await commit(store, insertion(makeHeader("r1"), { payloads, payloadRefs: [ref] }));
      await commit(store, insertion(makeHeader("r2"), { payloadRefs: [ref] }));
      expect(await store.sweepPayloads(T0, 10)).toBe(0);
      expect(await store.sweepPayloads(T0 + 1, 10)).toBe(1);
      expect([await there("ab"), await there("again"), await there("used")]).toEqual([
        false,
        true,
        true,
      ]);
      const gone = { entries: [], seq: 1, deleteRun: true } as const;
      await commit(store, change("r1", 0, 1, gone));
      expect(await store.sweepPayloads(T0 + 99, 1)).toBe(1);
      expect([await there("again"), await there("used")]).toEqual([false, true]);
      await commit(store, change("r2", 0, 1, gone));
      expect(await store.sweepPayloads(T0 + 99, 1)).toBe(1);
      expect(await there("used")).toBe(false);
    });
  });

  test("nudges are taken once, each by its replica", async () => {
    const { store } = get();
    await commit(
      store,
      insertion(makeHeader("r1"), { nudge: "one" }),
      insertion(makeHeader("r2"), { nudge: "two" }),
    );
    await commit(store, change("r1", 0, 1, { nudge: "one" }));
    expect(await store.takeNudges("one")).toEqual([{ org: ORG, runId: "r1" }]);
    expect(await store.takeNudges("one")).toEqual([]);
    expect(await store.takeNudges("two")).toEqual([{ org: ORG, runId: "r2" }]);
  });

  test("a closed store says so", async () => {
    const { store } = get();
    await store.ping();
    await store.close();
    await store.close();
    await expect(store.ping()).rejects.toThrow(/closed/);
    await expect(commit(store, insertion(makeHeader("r1")))).rejects.toThrow(/closed/);
    await expect(store.due(T0, 1)).rejects.toThrow(/closed/);
  });
}
