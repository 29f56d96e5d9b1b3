/**
 * Goal: a run whose data is damaged is in the way of nothing.
 * Method: bytes of one run's journal are changed in the file of a closed store.
 */
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { DatabaseSync } from "node:sqlite";
import { expect, test } from "vitest";
import {
  caller,
  eventually,
  openEngine,
  start,
  TestWorker,
} from "../../../test/semantics/engine-fixture.ts";
import { json } from "../../../test/semantics/run-fixture.ts";
import { openStore } from "../store/open.ts";

test("a run that a worker cannot read is paused with the reason, and no longer offered", async () => {
  const folder = await mkdtemp(join(tmpdir(), "pawl-damaged-"));
  const path = join(folder, "pawl.db");
  const worker = new TestWorker("w1");
  {
    const store = await openStore(path, { thread: false });
    await using made = await openEngine(store);
    await worker.connect(made.engine, 0);
    await start(made.engine, "bad");
    await made.engine.close();
    await store.close();
  }
  const file = new DatabaseSync(path);
  file.prepare("UPDATE journal SET payload = ? WHERE run_id = 'bad'").run(new Uint8Array([1, 2]));
  file.close();
  const store = await openStore(path, { thread: false });
  await using made = await openEngine(store);
  let offered = 0;
  worker.onDispatch = ({ header }) => {
    offered += 1;
    worker.connection?.nack(header.runId, header.fence, "no");
    worker.connection?.credits(1);
  };
  await worker.connect(made.engine, 10);
  const { header } = await eventually(async () => {
    const [loaded] = await store.loadRuns([{ ...caller, runId: "bad", afterSeq: 100 }]);
    return loaded?.header.status === "PAUSED" ? loaded : undefined;
  });
  expect(header).toMatchObject({ reason: "DATA_CORRUPTED", lease: null });
  const { runs } = await made.engine.runs.list(caller, {
    statuses: ["PAUSED"],
    workflow: "",
    tags: {},
    parentRunId: "",
    pageSize: 10,
    pageToken: "",
  });
  expect(runs[0]).toMatchObject({ reason: "DATA_CORRUPTED" });
  expect(runs[0]?.detail).toMatch(/damaged on disk/);
  expect(offered).toBe(1);
  await made.engine.close();
  await store.close();
  await rm(folder, { recursive: true });
});

test("a damaged run does not keep the others from being given out", async () => {
  const folder = await mkdtemp(join(tmpdir(), "pawl-damaged-"));
  const path = join(folder, "pawl.db");
  const worker = new TestWorker("w1");
  {
    const store = await openStore(path, { thread: false });
    await using made = await openEngine(store);
    await worker.connect(made.engine, 0);
    await start(made.engine, "bad", { priority: 9 });
    await start(made.engine, "good", { priority: 1 });
    await made.engine.close();
    await store.close();
  }
  const file = new DatabaseSync(path);
  file.prepare("UPDATE journal SET payload = ? WHERE run_id = 'bad'").run(new Uint8Array([1, 2]));
  file.close();

  const store = await openStore(path, { thread: false });
  await using made = await openEngine(store);
  await worker.connect(made.engine, 10);
  const { header } = await worker.next("good");
  await made.engine.outcomes.complete(caller, {
    runId: "good",
    fence: header.fence,
    output: json(1),
    unconsumed: [],
  });
  const damaged = await eventually(async () => {
    const view = await made.engine.runs.get(caller, "bad").catch((error: unknown) => error);
    return view instanceof Error ? view : undefined;
  });
  expect(damaged).toMatchObject({ reason: "DATA_CORRUPTED", metadata: { run_id: "bad" } });
  await made.engine.close();
  await store.close();
  await rm(folder, { recursive: true });
});
