/**
 * Goal: whether a step that may be executed once had its effect is for a person to decide, and the
 * decision counts.
 * Method: decisions on a run in memory, with the invariants checked after each.
 */
import { expect, test } from "vitest";
import { failed, started, TestRun } from "../../../../test/semantics/run-fixture.ts";
import { retryRun } from "./lifecycle-rules.ts";
import { stepFailed } from "./step-results.ts";
import { stepStarted } from "./step-rules.ts";

test("a retry decides that a step which was stopped is executed again", () => {
  const run = new TestRun();
  run.claim();
  const start = () =>
    run.do((draft) => stepStarted(draft, started(run, "a", { atMostOnce: true })));
  start();
  run.do((draft) => stepFailed(draft, { ...failed(run, "a"), cancelled: true }));
  expect(start()).toMatchObject({ kind: "unknown_outcome", attempt: 1 });
  run.do(retryRun);
  run.claim();
  expect(start()).toMatchObject({ kind: "execute", attempt: 2 });
});
