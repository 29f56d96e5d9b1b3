import { describe, expect, test } from "vitest";
import type { WorkflowRow } from "../../server/src/store/registry.ts";
import { CALLER, T0 } from "./make.ts";
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
}
