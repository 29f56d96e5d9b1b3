/**
 * Goal: an old run is deleted only if it is still the one that was found to be old.
 * Method: a run that fails, is retried, and ends again.
 */
import { expect, test } from "vitest";
import { complete, fail, TestRun } from "../../../../test/semantics/run-fixture.ts";
import { pruneRun, retryRun } from "./lifecycle-rules.ts";
import { completeRun, failRunByWorker } from "./outcome-rules.ts";

test("a run that was retried stays, and so does one that has ended again since", () => {
  const run = new TestRun();
  run.claim();
  run.do((draft) => failRunByWorker(draft, fail(run)));
  const { endedAt } = run.header;
  expect(run.do((draft) => pruneRun(draft, endedAt))).toBe(false);
  run.do(retryRun);
  expect(run.do((draft) => pruneRun(draft, Number.POSITIVE_INFINITY))).toBe(false);
  run.claim();
  run.now += 1_000;
  run.do((draft) => completeRun(draft, complete(run)));
  expect(run.do((draft) => pruneRun(draft, endedAt + 1))).toBe(false);
  expect(run.deleted).toBe(false);
  expect(run.do((draft) => pruneRun(draft, run.header.endedAt + 1))).toBe(true);
  expect(run.deleted).toBe(true);
});
