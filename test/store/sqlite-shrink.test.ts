/**
 * Goal: a SQLite file does not stay as large as it has ever been.
 * Method: a real file, whose size is looked at after its runs are deleted.
 */
import { mkdtemp, rm, stat } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { expect, onTestFinished, test } from "vitest";
import { openStore } from "../../server/src/store/open.ts";
import { bytes, change, commit, insertion, makeEntry, makeHeader } from "./make.ts";

test("the file shrinks after many runs were deleted, and keeps some room for what comes", async () => {
  const folder = await mkdtemp(join(tmpdir(), "pawl-shrink-"));
  onTestFinished(() => rm(folder, { recursive: true }));
  const path = join(folder, "pawl.db");
  const store = await openStore(path);
  const ids = Array.from({ length: 16 }, (_, i) => `r${i}`);
  const entries = [makeEntry(1, { payload: bytes("x".repeat(1_000_000)) })];
  await commit(store, ...ids.map((id) => insertion(makeHeader(id), { entries })));
  await commit(
    store,
    ...ids.map((id) => change(id, 0, 1, { entries: [], seq: 1, deleteRun: true })),
  );
  let rounds = 0;
  while (await store.shrink(500)) rounds += 1;
  expect(rounds).toBeGreaterThan(1);
  await store.close();
  const { size } = await stat(path);
  expect(size).toBeGreaterThan(1_000_000);
  expect(size).toBeLessThan(10_000_000);
  const again = await openStore(path);
  expect(await again.shrink(500)).toBe(false);
  expect((await commit(again, insertion(makeHeader("r1")))).confirmed).toEqual([true]);
  await again.close();
});
