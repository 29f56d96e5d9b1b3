/**
 * Goal: a run's stream has one order, each event once, and says what is void, final or missing.
 * Method: raw workers on both stores, so that every frame and number is the test's own.
 */
import { EventClass, EventService } from "@pawl/proto";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { rpc, SessionWorker } from "../harness/protocol.ts";
import { BOOM, fenceOf, json, Lab, stores } from "../semantics/lab.ts";
import { short, Watcher } from "./stage.ts";

describe.each(stores)("%s", (store) => {
  let lab: Lab;
  beforeAll(async () => {
    lab = await Lab.open(store);
  });
  afterAll(() => lab[Symbol.asyncDispose]());

  async function held() {
    const { worker, runId, fence, flow } = await lab.held("session");
    if (!(worker instanceof SessionWorker)) throw new Error("A session was asked for.");
    let next = 1;
    const say = (stepKey: string, text: string, more: object = {}) => {
      const event = { type: "output.delta", stepKey, attempt: 1, payload: json(text), ...more };
      next += 1;
      return worker.publish(runId, fence, [event], next - 1);
    };
    const done = (stepKey: string, attempt = 1) =>
      worker.stepCompleted({ runId, fence, stepKey, attempt, output: json(stepKey) });
    const end = () => worker.completeRun({ runId, fence, output: json("done") });
    const skip = (count: number) => {
      next += count;
    };
    return { worker, runId, fence, flow, say, done, end, skip };
  }

  const watch = (runId: string, more: object = {}) =>
    new Watcher(lab.client, { runId, waitForStart: true, ...more });
  const seen = (watcher: Watcher) => watcher.events.map(short);

  test("streams of one step are distinguished, success is a commit, the end comes last and once", async () => {
    const { runId, say, done, end } = await held();
    const live = watch(runId);
    await live.until(({ type }) => type === "run.started");
    await Promise.all([
      say("a", "x", { contentIndex: 1 }),
      say("a", "y", { contentIndex: 2 }),
      say("a", "z", { contentIndex: 1 }),
      done("a"),
    ]);
    await end();
    await live.ended;
    expect(seen(live)).toEqual([
      "run.started",
      "a@1#1=x",
      "a@1#2=y",
      "a@1#1=z",
      "commit:a@1",
      "step.completed:a@1",
      "run.completed",
    ]);
    const late = watch(runId);
    await late.ended;
    expect(seen(late)).toEqual(["run.started", "step.completed:a@1", "run.completed"]);
  });

  test("what is open is merged for a late watcher, and comes live from there on", async () => {
    const { runId, say, done, end } = await held();
    await say("done", "gone");
    await done("done");
    for (const text of ["o", "n", "e"]) await say("open", text);
    await say("open", "kept", { type: "log", policy: 3 });
    await say("open", "now or never", { policy: 1 });
    const late = watch(runId);
    const merged = await late.until(({ type }) => type === "output.delta");
    expect(merged.merged).toBe(3);
    // Going on from any of its events gives exactly the rest.
    await say("open", " two");
    await done("open");
    await end();
    await late.ended;
    const all = [
      "run.started",
      "step.completed:done@1",
      "open@1=one",
      "log:open@1",
      "open@1= two",
      "commit:open@1",
      "step.completed:open@1",
      "run.completed",
    ];
    expect(seen(late)).toEqual(all);
    const at = late.events.indexOf(merged);
    const again = watch(runId, { afterCursor: merged.cursor });
    await again.ended;
    expect(seen(again)).toEqual(all.slice(at + 1));
    // What is kept for good is there also after the end.
    const last = watch(runId);
    await last.ended;
    expect(seen(last)).toContain("log:open@1");
    expect(seen(last)).not.toContain("open@1=one");
  });

  test("a retry and a crash take back what they void: for a live watcher; a late one never sees it", async () => {
    const { worker, runId, fence, flow, say } = await held();
    const live = watch(runId);
    await live.until(({ type }) => type === "run.started");
    await say("a", "void1");
    const retryPolicy = { maxAttempts: 3 };
    await worker.stepFailed({ runId, fence, stepKey: "a", attempt: 1, failure: BOOM, retryPolicy });
    await say("a", "void2", { attempt: 2 });
    await live.until((event) => short(event) === "a@2=void2");
    const middle = live.events.at(-1)?.cursor ?? "";
    // Nobody said how it ended: its worker is gone.
    worker.close();
    await live.until(({ type }) => type === "run.recovered");
    const next = await SessionWorker.open(lab.client, { workflows: [flow] });
    const item = await next.next(runId, fence);
    const again = fenceOf(item);
    const event = { type: "output.delta", stepKey: "a", attempt: 2, payload: json("good") };
    await next.publish(runId, again, [event], 1);
    // The old worker's words are nobody's any more.
    const late = watch(runId);
    await late.until((one) => short(one) === "a@2=good");
    const output = json("good");
    await next.stepCompleted({ runId, fence: again, stepKey: "a", attempt: 2, output });
    await next.completeRun({ runId, fence: again, output: json("done") });
    await Promise.all([live.ended, late.ended]);
    const rest = ["a@2=good", "commit:a@2", "step.completed:a@2", "run.completed"];
    expect(seen(live)).toEqual([
      "run.started",
      "a@1=void1",
      "rollback:a@1",
      "step.retrying:a@1",
      "a@2=void2",
      "run.recovered",
      "rollback:a@2",
      ...rest,
    ]);
    expect(seen(late)).toEqual(["run.started", "step.retrying:a@1", "run.recovered", ...rest]);
    const resumed = watch(runId, { afterCursor: middle });
    await resumed.ended;
    expect(seen(resumed)).toEqual(seen(live).slice(5));
    next.close();
  });

  test("what is sent again is shown once; what is missing is a gap; a stale fence's is dropped", async () => {
    const { worker, runId, fence, say, done, end, skip } = await held();
    const live = watch(runId);
    await live.until(({ type }) => type === "run.started");
    expect(await say("a", "1")).toMatchObject({ accepted: 1, acknowledged: 1 });
    const two = [
      { type: "output.delta", stepKey: "a", attempt: 1, payload: json("1") },
      { type: "output.delta", stepKey: "a", attempt: 1, payload: json("2") },
    ];
    expect(await worker.publish(runId, fence, two, 1)).toMatchObject({ acknowledged: 2 });
    skip(4);
    await say("a", "6");
    expect((await worker.publish(runId, fence + 1, two, 1)).accepted).toBe(0);
    await done("a");
    await end();
    await live.ended;
    expect(seen(live)).toEqual([
      "run.started",
      "a@1=1",
      "a@1=2",
      "gap",
      "a@1=6",
      "commit:a@1",
      "step.completed:a@1",
      "run.completed",
    ]);
    const gap = live.events.find(({ type }) => type === "gap");
    expect(JSON.parse(Buffer.from(gap?.payload?.data ?? []).toString())).toEqual({
      fence,
      from: 3,
      to: 5,
    });
  });

  test("lists have what is kept, in pages; classes choose", async () => {
    const { runId, say, done, end } = await held();
    for (let i = 0; i < 10; i += 1) await say("a", `${i}`);
    await done("a");
    await end();
    const list = async (pageSize: number, classes: EventClass[] = []) => {
      const events: string[] = [];
      for (let afterCursor = ""; ; ) {
        const { listEvents } = EventService.method;
        const page = await rpc(lab.client, listEvents, { runId, pageSize, afterCursor, classes });
        events.push(...page.events.map(short));
        afterCursor = page.nextCursor;
        if (afterCursor === "") return events;
      }
    };
    const all = await list(200);
    expect(all).toHaveLength(14);
    expect(await list(3)).toEqual(all);
    expect(await list(2, [EventClass.CHECKPOINT])).toEqual(
      all.filter((name) => /^(run|step)\./.test(name)),
    );
    expect(await list(4, [EventClass.DELTA])).toHaveLength(11);
  });

  // The store has no part in it: a thousand on one is enough.
  const crowd = store === "sqlite" ? 1_000 : 50;
  test(`${crowd} watchers of one run see the same`, async () => {
    const { runId, say, done, end } = await held();
    const watchers = Array.from({ length: crowd }, () => watch(runId));
    await Promise.all(watchers.map((one) => one.until(({ type }) => type === "run.started")));
    for (let i = 0; i < 5; i += 1) await say("a", `${i}`);
    await done("a");
    await end();
    await Promise.all(watchers.map(({ ended }) => ended));
    const [first] = watchers;
    const expected = first === undefined ? [] : seen(first);
    expect(expected).toHaveLength(9);
    for (const watcher of watchers) expect(seen(watcher)).toEqual(expected);
  });
});
