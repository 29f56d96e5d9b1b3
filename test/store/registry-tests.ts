import { describe, expect, test } from "vitest";
import { type RecordWrite, WORKFLOWS } from "../../server/src/store/records.ts";
import type { WorkflowRow } from "../../server/src/store/registry.ts";
import type { Store } from "../../server/src/store/store.ts";
import { CALLER, change, insertion, makeHeader, ORG, T0 } from "./make.ts";
import type { Opened } from "./suite.ts";

export function registryTests(get: () => Opened): void {
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

    const write = (row: WorkflowRow, expect: number, org = ORG): RecordWrite => ({
      ...{ kind: "workflow", org, id: row.name, expect },
      row: WORKFLOWS.write(row),
    });
    const put = async (store: Store, ...records: RecordWrite[]): Promise<boolean[]> =>
      (await store.commit({ now: T0, writes: [], records, claims: [] })).recorded;

    test("a workflow is written only over the revision that was read", async () => {
      const { store } = get();
      const first = [write(spec("ship", "1"), 0), write(spec("digest", "1"), 0)];
      expect(await put(store, ...first)).toEqual([true, true]);
      expect(await put(store, write(spec("ship", "9"), 0))).toEqual([false]);
      const next = spec("ship", "2", { versions: ["1", "2"], registeredAt: T0 + 9 });
      expect(await put(store, write(next, 1))).toEqual([true]);
      expect(await put(store, write(spec("ship", "9"), 1))).toEqual([false]);
      expect(await put(store, write(spec("none", "1"), 1))).toEqual([false]);
      expect(await store.listWorkflows(CALLER)).toEqual([spec("digest", "1"), next]);
      expect(await store.listWorkflows({ org: "acme" })).toEqual([]);
      const refs = ["ship", "none"].map((id) => ({ kind: "workflow", org: ORG, id }) as const);
      const [found, none] = await store.loadRecords(refs);
      expect([found?.revision, none]).toEqual([2, undefined]);
      expect(found && WORKFLOWS.read(found.row)).toEqual(next);
    });

    test("records and runs of a batch are written in one transaction, each by its own version", async () => {
      const { store } = get();
      const batch = {
        ...{ now: T0, claims: [] },
        writes: [insertion(makeHeader("r1")), change("missing", 0, 1)],
        records: [write(spec("ship", "1"), 3), write(spec("digest", "1"), 0)],
      };
      const { confirmed, recorded } = await store.commit(batch);
      expect([confirmed, recorded]).toEqual([
        [true, false],
        [false, true],
      ]);
      expect((await store.listWorkflows(CALLER)).map(({ name }) => name)).toEqual(["digest"]);
    });

    test("servers that write the same record at once do not lose a write", async () => {
      const { store } = get();
      const rows = [spec("ship", "1"), spec("ship", "2")];
      const results = await Promise.all(rows.map((row) => put(store, write(row, 0))));
      expect(results.flat().filter(Boolean)).toHaveLength(1);
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
}
