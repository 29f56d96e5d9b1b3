/**
 * Goal: runs that ended long enough ago are deleted, and no run is that is alive, or that something
 * alive needs.
 * Method: engines that keep ended runs for a millisecond, over stores with runs in every state.
 */
import { afterEach, describe, expect, test } from "vitest";
import type { Engine } from "../../server/src/engine/engine.ts";
import { openStore } from "../../server/src/store/open.ts";
import type { Store } from "../../server/src/store/store.ts";
import { createMigratedDatabase } from "../harness/database.ts";
import { caller, eventually, openEngine, start, TestWorker } from "./engine-fixture.ts";
import { json } from "./run-fixture.ts";

const open = {
  SQLite: () => openStore(":memory:", { thread: false }),
  PostgreSQL: async () => openStore(await createMigratedDatabase("retention")),
};
const stores: Store[] = [];

afterEach(async () => {
  await Promise.all(stores.splice(0).map((store) => store.close()));
});

const OLD = { retentionMs: 1 };
const LATER = { delayMs: 3_600_000 };

async function complete(engine: Engine, worker: TestWorker, runId: string) {
  const { fence } = (await worker.next(runId)).header;
  await engine.outcomes.complete(caller, { runId, fence, output: json("done"), unconsumed: [] });
}

async function runIds(store: Store): Promise<string[]> {
  const { runs } = await store.listRuns(caller, { statuses: [], tags: {}, limit: 1_000 });
  return runs.map(({ runId }) => runId).sort();
}

function untilLeft(store: Store, ...expected: string[]): Promise<true> {
  return eventually(async () => {
    const left = await runIds(store);
    return left.join() === expected.join() ? true : undefined;
  });
}

describe.each(["SQLite", "PostgreSQL"] as const)("%s", (name) => {
  test("what has ended goes, and what something alive refers to stays as long as that", async () => {
    const store = await open[name]();
    stores.push(store);
    const held = { runId: "parent", fence: 0 };
    {
      await using first = await openEngine(store);
      const { engine } = first;
      const worker = new TestWorker("w#1");
      await worker.connect(engine);
      await start(engine, "parent");
      held.fence = (await worker.next("parent")).header.fence;
      const parent = { ...held, key: "child:c" };
      await start(engine, "child", { parent });
      await complete(engine, worker, "child");
      await start(engine, "ended", { tags: { customer: "acme" } });
      await complete(engine, worker, "ended");
      await start(engine, "waits", LATER);
      await start(engine, "cancelled", LATER);
      await engine.runs.cancel(caller, { runId: "cancelled", reason: "", graceMs: 0 });
      expect(await runIds(store)).toEqual(["cancelled", "child", "ended", "parent", "waits"]);
    }
    await using second = await openEngine(store, "replica", OLD);
    const { engine } = second;
    await untilLeft(store, "child", "parent", "waits");
    // The id is free again, for a run that knows nothing of the one before.
    await start(engine, "ended", LATER);
    await new TestWorker("w#1").connect(engine, 100, [held]);
    await engine.outcomes.complete(caller, { ...held, output: json("done"), unconsumed: [] });
    await untilLeft(store, "ended", "waits");
    expect(second.warnings).toEqual([]);
  });

  test("more than one page of runs goes, also where several servers delete them", async () => {
    const store = await open[name]();
    stores.push(store);
    {
      await using first = await openEngine(store);
      const { engine } = first;
      await new TestWorker("w#1").connect(engine, 0);
      for (let from = 0; from < 250; from += 50) {
        const ids = Array.from({ length: 50 }, (_, i) => `run-${from + i}`);
        await Promise.all(ids.map((runId) => start(engine, runId)));
        await Promise.all(
          ids.map((runId) => engine.runs.cancel(caller, { runId, reason: "", graceMs: 0 })),
        );
      }
    }
    await using second = await openEngine(store, "second", OLD);
    await using third = await openEngine(store, "third", OLD);
    await untilLeft(store);
    expect([...second.warnings, ...third.warnings]).toEqual([]);
  });
});
