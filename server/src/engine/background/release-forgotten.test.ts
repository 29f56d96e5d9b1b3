/**
 * Goal: after its start a server takes back what its former life had given out, and nothing else.
 * Method: two engines over one store, one after the other, whose callers claim runs.
 */
import { expect, test } from "vitest";
import { caller, start, TestClock } from "../../../../test/semantics/engine-fixture.ts";
import { openStore } from "../../store/open.ts";
import { createEngine } from "../engine.ts";

test("a lease of this life is left alone, also where no connection is known to hold its run", async () => {
  const store = await openStore(":memory:", { thread: false });
  const clock = new TestClock();
  const ignore = () => undefined;
  const log = { info: ignore, warn: ignore, error: ignore };
  const live = () => createEngine({ store, replicaId: "replica", process: "program", log, clock });
  const former = live();
  // Leases are dated by the clock, which may have been ahead then.
  clock.set(20_000);
  await start(former, "old", { claim: true });
  clock.set(-20_000);
  await former.close();
  const engine = live();
  try {
    await start(engine, "new", { claim: true });
    const { header: given } = await engine.runs.get(caller, "new");
    await engine.takeOver();
    const { header: kept } = await engine.runs.get(caller, "new");
    expect(kept).toMatchObject({ status: "RUNNING", fence: given.fence, lease: given.lease });
    const { header: freed } = await engine.runs.get(caller, "old");
    expect(freed).toMatchObject({ status: "QUEUED", lease: null });
  } finally {
    await engine.close();
    await store.close();
  }
});
