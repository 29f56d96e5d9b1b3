/**
 * Goal: a wait that the code has given up takes nothing, whatever decides the race and wherever the
 * run is by then; one that is asked for again is what it was, or new.
 * Method: decisions on a run in memory, with the invariants checked after each.
 */
import { beforeEach, describe, expect, test } from "vitest";
import {
  completed,
  dueFired,
  failed,
  json,
  started,
  suspend,
  TestRun,
} from "../../../../test/semantics/run-fixture.ts";
import { NO_RETRY } from "../../model/retry.ts";
import type { WaitTree } from "../../model/run.ts";
import type { WaitSpec } from "../waits/wait-types.ts";
import { answerWait } from "./answer-rules.ts";
import { closeWaits } from "./closing-rules.ts";
import { cancelRun, pauseRun, resumeRun } from "./lifecycle-rules.ts";
import { suspendRun } from "./outcome-rules.ts";
import { noteChild } from "./start-rules.ts";
import { stepCompleted, stepFailed } from "./step-results.ts";
import { stepStarted } from "./step-rules.ts";
import { sendSignal } from "./wait-rules.ts";

let run: TestRun;

beforeEach(() => {
  run = new TestRun();
  run.claim();
});

const open = (
  key: string,
  kind: "signal" | "sleep" | "user" | "callback" | "child",
  wait: WaitSpec,
) => run.do((draft) => stepStarted(draft, started(run, key, { kind, wait })));
const signal = (key: string, durationMs?: number) =>
  open(key, "signal", { signalName: "go", ...(durationMs === undefined ? {} : { durationMs }) });
const send = (signalId: string) =>
  run.do((draft) =>
    sendSignal(draft, {
      ...{ runId: "run-1", name: "go", signalId },
      ...{ payload: json(signalId), actor: "" },
    }),
  );
const close = (...keys: string[]) =>
  run.do((draft) => closeWaits(draft, { runId: "run-1", fence: run.fence, keys }));
const answer = (key: string, actor = "") =>
  run.do((draft) =>
    answerWait(
      draft,
      { key, resolutionId: `by ${actor}`, answer: json(true), actor, comment: "", via: "api" },
      () => true,
    ),
  );
const status = (key: string) => run.state.steps.get(key)?.status;
const inbox = () => run.state.inbox.map(({ signalId }) => signalId);
const race = (...members: (string | WaitTree)[]): WaitTree => ({
  needed: 1,
  members: members.map((one) => (typeof one === "string" ? { key: one } : one)),
  exclusive: true,
});
const all = (...members: (string | WaitTree)[]): WaitTree => ({
  needed: members.length,
  members: members.map((one) => (typeof one === "string" ? { key: one } : one)),
});
const wait = (tree: WaitTree) => run.do((draft) => suspendRun(draft, suspend(run, { tree })));
const fire = (key: string) => {
  const row = run.dueRow("wait", key);
  if (row === undefined) throw new Error(`"${key}" has no timer.`);
  run.now = row.at;
  run.do((draft) => dueFired(draft, row, undefined));
};

describe("CloseWaits", () => {
  test("gives a signal back to its place, before what came later", () => {
    signal("a");
    send("s1");
    send("s2");
    close("a");
    expect(inbox()).toEqual(["s1", "s2"]);
    signal("b");
    expect(run.state.steps.get("b")?.taken).toBe("s1");
    expect(inbox()).toEqual(["s2"]);
  });

  test("hands it on to a wait that was open all along, and not to one that is closed with it", () => {
    signal("a");
    send("s1");
    signal("b");
    signal("c");
    close("a", "b");
    expect([status("a"), status("b"), status("c")]).toEqual(["closed", "closed", "resolved"]);
  });

  test("passes over what has another outcome, and what is not a wait", () => {
    open("timer", "sleep", { durationMs: 0 });
    run.do((draft) => stepCompleted(draft, completed(run, "step")));
    const { length } = run.journal;
    close("timer", "step", "unknown");
    expect(run.journal.length).toBe(length);
  });

  test("takes away what is due and listed, and names the wait as its other entries do", () => {
    signal("signal:go", 60_000);
    close("signal:go");
    expect([run.due.size, run.waits.get("signal:go")?.kind]).toEqual([0, "closed signal"]);
    expect(run.last.meta).toMatchObject({ kind: "signal", closed: "lost" });
  });

  test("a wait that is asked for again is the one that it was: due time, votes, reminders", () => {
    const question = {
      prompt: "?",
      type: "approval",
      approvalsNeeded: 2,
      remindersMs: [1_000, 2_000],
    } as const;
    open("user:q", "user", { question, durationMs: 60_000 });
    answer("user:q", "ada");
    run.now += 1_000;
    const row = run.dueRow("remind", "user:q");
    if (row !== undefined) run.do((draft) => dueFired(draft, row, undefined));
    const { at } = run.dueRow("wait", "user:q") ?? {};
    close("user:q");
    expect(() => answer("user:q", "bob")).toThrow(
      expect.objectContaining({ reason: "WAIT_CLOSED" }),
    );
    run.now += 500;
    open("user:q", "user", { question, durationMs: 60_000 });
    expect(run.dueRow("wait", "user:q")?.at).toBe(at);
    expect(run.state.steps.get("user:q")?.wait).toMatchObject({ reminders: 1 });
    answer("user:q", "bob");
    expect(status("user:q")).toBe("resolved");
  });

  test("another question under that key starts without votes", () => {
    const question = { prompt: "?", type: "approval", approvalsNeeded: 2 } as const;
    open("user:q", "user", { question });
    answer("user:q", "ada");
    close("user:q");
    open("user:q", "user", { question: { ...question, prompt: "!" } });
    answer("user:q", "bob");
    expect(status("user:q")).toBe("waiting");
  });
});

test("the child of a branch is ended when the code gives it up, and not by the server's guess", () => {
  run.do((draft) => noteChild(draft, run.fence, "child:k", "kid"));
  signal("signal:g");
  open("child:k", "child", { childRunId: "kid" });
  wait(race("signal:g", "child:k"));
  send("s1");
  expect([status("child:k"), run.elsewhere.length]).toEqual(["closed", 0]);
  run.claim();
  close("child:k");
  expect(run.elsewhere).toMatchObject([{ runId: "kid", row: { kind: "unwanted" } }]);
});

describe("exclusive groups", () => {
  test("are decided by a timer, a signal, an answer, a callback, a child", () => {
    const deciders: Record<string, () => void> = {
      "sleep:s": () => fire("sleep:s"),
      "signal:g": () => send("s1"),
      "user:u": () => answer("user:u"),
      "callback:c": () => answer("callback:c"),
      "child:k": () => {
        const row = { kind: "child", key: "end", at: run.now, data: "kid" } as const;
        run.do((draft) => dueFired(draft, row, { outcome: "completed", payload: json(1) }));
      },
    };
    for (const [winner, decide] of Object.entries(deciders)) {
      run = new TestRun();
      run.claim();
      open("sleep:s", "sleep", { durationMs: 60_000 });
      signal("signal:g");
      open("user:u", "user", { question: { prompt: "?", type: "text" } });
      open("callback:c", "callback", {});
      open("child:k", "child", { childRunId: "kid" });
      wait(race(...Object.keys(deciders)));
      decide();
      expect(run.header.status).toBe("QUEUED");
      for (const key of Object.keys(deciders))
        expect([key, status(key)]).toEqual([key, key === winner ? "resolved" : "closed"]);
      // The look at a child that ended before it was waited for is due once, and finds nobody.
      expect([...run.due.keys()].filter((key) => !key.startsWith("child:"))).toEqual([]);
    }
  });

  test("close their losers though the run waits on for something else, and while it is paused", () => {
    for (const isPaused of [false, true]) {
      run = new TestRun();
      run.claim();
      signal("signal:g");
      open("user:u", "user", { question: { prompt: "?", type: "text" } });
      open("callback:c", "callback", {});
      wait(all(race("signal:g", "user:u"), "callback:c"));
      if (isPaused) run.do((draft) => pauseRun(draft, ""));
      answer("user:u");
      expect([status("signal:g"), status("callback:c")]).toEqual(["closed", "waiting"]);
      send("s1");
      expect(inbox()).toEqual(["s1"]);
      if (isPaused) run.do(resumeRun);
      expect(run.header.status).toBe("WAITING");
    }
  });

  test("close all that a losing branch waits for, and nothing of the one that has won", () => {
    for (const key of ["a", "b", "c", "d"]) open(key, "callback", {});
    wait(race(all("a", "b"), { needed: 1, members: [{ key: "c" }, { key: "d" }] }));
    answer("a");
    expect(status("b")).toBe("waiting");
    answer("c");
    expect(["a", "b", "c", "d"].map(status)).toEqual(["resolved", "closed", "resolved", "waiting"]);
  });

  test("are not decided by a step that may be tried again", () => {
    const retryPolicy = { ...NO_RETRY, maxAttempts: 3, initialMs: 5_000 };
    run.do((draft) => stepFailed(draft, failed(run, "step", { retryPolicy })));
    signal("signal:g");
    wait(race("step", "signal:g"));
    const row = run.dueRow("retry", "step");
    run.now += 5_000;
    if (row !== undefined) run.do((draft) => dueFired(draft, row, undefined));
    expect([run.header.status, status("signal:g")]).toEqual(["QUEUED", "waiting"]);
  });

  test("close nothing that the code waits for outside of the group as well", () => {
    for (const isSuspended of [true, false]) {
      run = new TestRun();
      run.claim();
      signal("signal:g");
      open("callback:c", "callback", {});
      if (!isSuspended) answer("callback:c");
      wait(all("signal:g", race("signal:g", "callback:c")));
      if (isSuspended) answer("callback:c");
      expect([run.header.status, status("signal:g")]).toEqual(["WAITING", "waiting"]);
      send("s1");
      expect([run.header.status, status("signal:g")]).toEqual(["QUEUED", "resolved"]);
    }
  });

  test("groups that are not alternatives close nothing", () => {
    signal("a");
    open("b", "callback", {});
    wait({ needed: 1, members: [{ key: "a" }, { key: "b" }] });
    answer("b");
    expect(status("a")).toBe("waiting");
  });
});

describe("held waits", () => {
  test("what the code no longer holds is withdrawn, and new when it is asked for again", () => {
    signal("old", 60_000);
    signal("new");
    const tree = { key: "new" };
    const held = ["new"];
    run.do((draft) => suspendRun(draft, suspend(run, { tree, held }), { version: "v2" }));
    expect(run.state.steps.get("old")?.wait?.closed).toMatchObject({
      why: "withdrawn",
      version: "v2",
    });
    send("s1");
    expect(status("new")).toBe("resolved");
    run.claim();
    run.now += 10_000;
    signal("old", 60_000);
    expect(run.dueRow("wait", "old")?.at).toBe(run.now + 60_000);
  });

  test("nothing is withdrawn where the run continues, is paused, or the worker does not say", () => {
    signal("old");
    signal("new");
    run.do((draft) => suspendRun(draft, suspend(run, { tree: { key: "new" } })));
    expect(status("old")).toBe("waiting");
    send("s1");
    send("s2");
    run.claim();
    const reply = run.do((draft) =>
      suspendRun(draft, suspend(run, { tree: { key: "new" }, held: ["new"] })),
    );
    expect(reply.resumed).toBe(true);
    open("later", "callback", {});
    run.do((draft) => pauseRun(draft, ""));
    run.do((draft) => suspendRun(draft, suspend(run, { held: [] })));
    expect(status("later")).toBe("waiting");
  });
});

test("from a cancel on, nothing is due, listed or taken; the clean-up waits for itself", () => {
  signal("a", 60_000);
  open("q", "user", { question: { prompt: "?", type: "text" } });
  run.do((draft) => cancelRun(draft, { reason: "", graceMs: 10_000 }));
  expect([[...run.due.keys()], [...run.waits.keys()]]).toEqual([[], []]);
  send("s1");
  expect(inbox()).toEqual(["s1"]);
  expect(() => answer("q")).toThrow(expect.objectContaining({ reason: "WAIT_CLOSED" }));
  signal("cleanup:c/signal:go");
  expect(inbox()).toEqual([]);
});
