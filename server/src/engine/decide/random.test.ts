/**
 * Goal: no order of commands, stale ones and repetitions among them, breaks a run or leaves it stuck.
 * Method: random commands on a run in memory, one by one or several in one batch, from a printed
 * seed; `TestRun` checks the invariants after each commit, and in the end whatever is left is driven to an end. PAWL_SEED repeats one.
 */
import { expect, test } from "vitest";
import { Random } from "../../../../test/chaos/random.ts";
import { scaled } from "../../../../test/harness/scale.ts";
import {
  BOOM,
  complete,
  completed,
  dueFired,
  fail,
  failed,
  json,
  startCommand,
  started,
  suspend,
  TestRun,
} from "../../../../test/semantics/run-fixture.ts";
import { PawlError } from "../../model/errors.ts";
import type { Question } from "../../model/question.ts";
import { NO_RETRY, type RetryPolicy } from "../../model/retry.ts";
import { isTerminal, type WaitTree } from "../../model/run.ts";
import type { Draft } from "../draft.ts";
import type { NewWait } from "../outcomes/outcome-types.ts";
import { answerWait, cancelWait } from "./answer-rules.ts";
import { beginCleanUp } from "./clean-up.ts";
import { closeWaits } from "./closing-rules.ts";
import { releaseLease } from "./lease-rules.ts";
import { cancelRun, pauseRun, resumeRun, retryRun, updateTags } from "./lifecycle-rules.ts";
import { completeRun, failRunByWorker, suspendRun } from "./outcome-rules.ts";
import { startAgain } from "./start-rules.ts";
import { stepCompleted, stepFailed } from "./step-results.ts";
import { recordLiveStart, type StartDecision, stepStarted } from "./step-rules.ts";
import type { ChildOutcome } from "./wait-rules.ts";
import { sendSignal } from "./wait-rules.ts";

const RUNS = scaled(400, 100);
const TURNS_PER_RUN = 80;
const CONNECTION = "replica/worker-1";
const KEYS = ["a", "b", "c", "d"];
const QUESTIONS = ["user:one", "user:two", "callback:cb"];
const WAITS = ["sleep:s", "sleep:t", "signal:g", "signal:h", "child:c", ...QUESTIONS];

const ONE: Question = { prompt: "1?", type: "text", skippable: true, remindersMs: [1_000, 9_000] };
const TWO: Question = {
  prompt: "2?",
  type: "approval",
  assignees: ["p", "q"],
  approvalsNeeded: 2,
};

const first = Number(process.env.PAWL_SEED ?? Math.floor(Math.random() * 2 ** 31));

/** One run with everyone who acts on it: its present and former holders, operators, the clock. */
class Drive {
  readonly run: TestRun;
  readonly random: Random;
  /** Steps whose completion was answered. */
  readonly done = new Set<string>();
  /** Fences that were ever valid, latest last. */
  readonly fences: number[] = [];
  readonly log: string[] = [];
  #signals = 0;

  constructor(seed: number) {
    this.random = new Random(seed);
    const { random } = this;
    this.run = new TestRun({
      ...(random.chance(0.3) ? { delayMs: random.int(1, 5_000) } : {}),
      ...(random.chance(0.3) ? { queueTimeoutMs: random.int(1, 20_000) } : {}),
      ...(random.chance(0.2) ? { runTimeoutMs: random.int(1, 200_000) } : {}),
      ...(random.chance(0.2) ? { parent: { runId: "p", key: "child:x", fence: 1 } } : {}),
    });
  }

  /** Runs one command; refusals are part of the game, anything else is not. */
  act(name: string, decide: (draft: Draft) => unknown, fence?: number): unknown {
    this.log.push(`${this.run.header.status} ${name}`);
    try {
      return this.run.do(decide, fence);
    } catch (error) {
      if (error instanceof PawlError) return undefined;
      throw error;
    }
  }

  claim(): void {
    if (this.run.ready === undefined || this.run.isInBatch) return;
    const before = this.fences.at(-1) ?? 0;
    const fence = this.run.claim();
    if (fence <= before) throw new Error(`Fence ${fence} was given out after ${before}.`);
    this.fences.push(fence);
  }

  /** Mostly the current fence, sometimes an old one. */
  fence(): number {
    if (this.random.chance(0.85)) return this.run.fence;
    return this.fences.length === 0 ? 1 : this.random.pick(this.fences);
  }

  /** What a journal reader takes for the attempt that may end now, or a wrong one. */
  attempt(key: string): number {
    const step = this.run.state.steps.get(key);
    const running = step?.status === "started" && step.fence === this.run.fence;
    const right = (step?.attempt ?? 0) + (running ? 0 : 1);
    return this.random.chance(0.9) ? right : this.random.int(0, 4);
  }

  policy(): RetryPolicy | undefined {
    const { random } = this;
    if (random.chance(0.3)) return undefined;
    const onExhausted = random.chance(0.3) ? "pause" : "fail";
    const maxAttempts = random.int(1, 4);
    return { ...NO_RETRY, maxAttempts, initialMs: random.int(0, 20_000), onExhausted };
  }

  wait(key: string): NewWait {
    const [kind, name = ""] = key.split(":");
    const durationMs = this.random.int(0, 30_000);
    const timeout = this.random.chance(0.5) ? { durationMs } : {};
    if (kind === "sleep") return { key, name, kind, wait: { durationMs } };
    if (kind === "signal") return { key, name, kind, wait: { signalName: name, ...timeout } };
    if (kind === "callback") return { key, name, kind, wait: timeout };
    if (kind === "user") {
      return { key, name, kind, wait: { question: name === "one" ? ONE : TWO, ...timeout } };
    }
    return { key, name, kind: "child", wait: { childRunId: "child-1", ...timeout } };
  }

  tree(depth = 0): WaitTree {
    const { random } = this;
    if (depth > 1 || random.chance(0.5)) return { key: random.pick([...WAITS, ...KEYS]) };
    const members = Array.from({ length: random.int(1, 3) }, () => this.tree(depth + 1));
    const exclusive = random.chance(0.3) ? { exclusive: true as const } : {};
    return { needed: random.int(1, members.length), members, ...exclusive };
  }

  /** The worker says that it has given up some waits, or what it is going to undo. */
  giveUp(): void {
    const { random, run } = this;
    const about = { runId: "run-1", fence: this.fence() };
    if (random.chance(0.8)) {
      const keys = random.sample(WAITS, random.int(1, 3));
      this.act(`close ${keys.join()}`, (draft) => closeWaits(draft, { ...about, keys }));
    } else {
      const compensations = random.sample(["compensate:a", "compensate:b"], 1);
      this.act("clean up", (draft) => beginCleanUp(draft, { ...about, compensations }));
    }
    const { inbox, signalSeqs, steps } = run.state;
    const taken = [...steps.values()].filter((step) => step.taken !== "").map((step) => step.taken);
    const all = [...inbox.map(({ signalId }) => signalId), ...taken].sort();
    if (all.join() !== [...signalSeqs.keys()].sort().join())
      throw new Error(`Of the signals ${[...signalSeqs.keys()].join()}, ${all.join()} are left.`);
    const seqs = inbox.map(({ seq }) => seq);
    if (seqs.some((seq, index) => seq < (seqs[index - 1] ?? 0)))
      throw new Error(`The inbox is out of order: ${seqs.join()}.`);
  }

  start(key: string): void {
    const { random, run } = this;
    const more = {
      fence: this.fence(),
      atMostOnce: random.chance(0.1),
      requestId: random.chance(0.2) ? "r" : "",
      retryPolicy: this.policy(),
      ...(random.chance(0.3) ? { timeoutMs: random.int(1, 5_000) } : {}),
    };
    const reply = this.act(
      `start ${key}`,
      (draft) => stepStarted(draft, started(run, key, more)),
      more.fence,
    );
    const decision = reply as StartDecision | undefined;
    if (decision?.kind === "execute" && this.done.has(key)) {
      throw new Error(`The completed step "${key}" was to be executed again.`);
    }
  }

  finish(key: string): void {
    const command = completed(this.run, key, { fence: this.fence(), attempt: this.attempt(key) });
    if (
      this.act(`complete ${key}`, (draft) => stepCompleted(draft, command), command.fence) !==
      undefined
    ) {
      this.done.add(key);
      // The same message again is answered alike as long as the lease is the same.
      if (this.random.chance(0.3))
        this.act(`complete ${key} again`, (draft) => stepCompleted(draft, command));
    }
  }

  break(key: string): void {
    const more = { fence: this.fence(), attempt: this.attempt(key), retryPolicy: this.policy() };
    const cancelled = this.random.chance(0.15) ? { cancelled: true as const } : {};
    const command = failed(this.run, key, { ...more, ...cancelled });
    this.act(`fail ${key}`, (draft) => stepFailed(draft, command), command.fence);
    if (this.random.chance(0.2))
      this.act(`fail ${key} again`, (draft) => stepFailed(draft, command));
  }

  signal(): void {
    this.#signals += this.random.chance(0.8) ? 1 : 0;
    const name = this.random.pick(["g", "h"]);
    const signalId = `${name}${this.#signals}`;
    this.act(`signal ${name}`, (draft) =>
      sendSignal(draft, { runId: "run-1", name, signalId, payload: json(1), actor: "" }),
    );
  }

  /** Somebody answers, once more, again under the same id, or to a question that is not open. */
  answer(key = this.random.pick(QUESTIONS)): void {
    const { random } = this;
    const actor = random.pick(["p", "q"]);
    const resolutionId = random.chance(0.2) ? `${key} ${actor}` : String(this.log.length);
    const value = random.chance(0.8);
    const skip = random.chance(0.1);
    const command = { key, resolutionId, actor, comment: "", via: "api" } as const;
    const answer = skip ? undefined : json(value);
    this.act(`answer ${key}`, (draft) => answerWait(draft, { ...command, answer }, () => value));
    const wait = this.run.state.steps.get(key)?.wait;
    const actors = wait?.answers.map((one) => one.actor) ?? [];
    if (new Set(actors).size < actors.length) throw new Error(`${actors.join()} answered twice.`);
  }

  cancelWait(): void {
    const key = this.random.pick(WAITS);
    this.act(`cancel ${key}`, (draft) => cancelWait(draft, key, "", ""));
  }

  suspend(): void {
    const { random, run } = this;
    const waits = random.sample(WAITS, random.int(0, 2)).map((key) => this.wait(key));
    const tree = random.chance(0.6) ? this.tree() : undefined;
    const held = random.chance(0.5) ? random.sample(WAITS, random.int(0, 4)) : undefined;
    const command = suspend(run, { fence: this.fence(), waits, ...(tree && { tree }), held });
    this.act(
      "suspend",
      (draft) => suspendRun(draft, command, { stopping: random.chance(0.2) }),
      command.fence,
    );
  }

  openWait(): void {
    const { key, kind, wait } = this.wait(this.random.pick(WAITS));
    const command = started(this.run, key, { fence: this.fence(), kind, wait });
    this.act(`wait ${key}`, (draft) => stepStarted(draft, command), command.fence);
  }

  /** Fires what is due, in any order, now and then a row that is gone by then. */
  pass(ms: number): void {
    this.run.now += ms;
    const due = [...this.run.due.values()].filter((row) => row.at <= this.run.now);
    for (const row of this.random.sample(due, due.length)) {
      const child = row.kind === "child" ? this.child() : undefined;
      this.act(`due ${row.kind} ${row.key}`, (draft) =>
        dueFired(draft, row, child, this.random.chance(0.5)),
      );
    }
  }

  child(): ChildOutcome | undefined {
    if (this.random.chance(0.3)) return undefined;
    const outcome = this.random.pick(["completed", "failed", "cancelled"] as const);
    return outcome === "completed" ? { outcome, payload: json(1) } : { outcome, failure: BOOM };
  }

  childEnds(): void {
    const row = {
      kind: "child",
      key: `child-1\n${this.run.now}`,
      at: this.run.now,
      data: "child-1",
    } as const;
    this.act("child ends", (draft) =>
      dueFired(draft, row, { outcome: "completed", payload: json(1) }),
    );
  }

  lose(): void {
    const reason = this.random.pick([
      "disconnected",
      "expired",
      "refused",
      "unacknowledged",
      "restarted",
    ] as const);
    const fence = this.fence();
    this.act(`lose: ${reason}`, (draft) => releaseLease(draft, fence, CONNECTION, reason));
  }

  end(): void {
    const { run, random } = this;
    const fence = this.fence();
    const failedStepKeys = random.sample(KEYS, random.int(0, 3));
    const nonDeterminism = { stepKey: "a", recorded: "", attempted: "", likelyCause: "" };
    if (random.chance(0.3))
      this.act("complete", (draft) => completeRun(draft, { ...complete(run), fence }), fence);
    else if (random.chance(0.7)) {
      this.act(
        "fail",
        (draft) => failRunByWorker(draft, { ...fail(run), fence, failedStepKeys }),
        fence,
      );
    } else {
      this.act(
        "code does not fit",
        (draft) => failRunByWorker(draft, { ...fail(run), fence, nonDeterminism }),
        fence,
      );
    }
  }

  steer(): void {
    const { random } = this;
    const what = random.int(0, 9);
    if (what < 3) this.act("pause", (draft) => pauseRun(draft, ""));
    else if (what < 6) this.act("resume", resumeRun);
    else if (what < 9) this.act("retry", retryRun);
    else if (random.chance(0.1))
      this.act("cancel", (draft) =>
        cancelRun(draft, { reason: "", graceMs: random.int(0, 5_000), force: random.chance(0.1) }),
      );
    else this.act("tags", (draft) => updateTags(draft, { k: String(random.int(0, 2)) }, []));
  }

  step(): void {
    const { random } = this;
    const key = random.pick(KEYS);
    const choice = random.int(0, 99);
    if (choice < 20) this.claim();
    else if (choice < 35) this.start(key);
    else if (choice < 47) this.finish(key);
    else if (choice < 55) this.break(key);
    else if (choice < 63) this.openWait();
    else if (choice < 70) this.suspend();
    else if (choice < 74) this.signal();
    else if (choice < 77) this.answer();
    else if (choice < 78) this.cancelWait();
    else if (choice < 80) this.giveUp();
    else if (choice < 84) this.pass(random.int(0, 10_000));
    else if (choice < 87) this.childEnds();
    else if (choice < 91) this.lose();
    else if (choice < 97) this.steer();
    else if (choice < 98) this.end();
    else if (choice < 99) {
      const claim = {
        ...startCommand({ claim: true, workerId: "w1" }),
        claim: { connectionId: CONNECTION, workerId: "w1", until: 1 },
      };
      const { parentRunId, parentKey } = this.run.header;
      const parent = { runId: parentRunId, key: parentKey, fence: 1 };
      const command = parentRunId === "" ? claim : { ...claim, start: { ...claim.start, parent } };
      this.act("start{claim}", (draft) => startAgain(draft, command));
    } else {
      const command = started(this.run, key, { fence: this.fence() });
      this.act(`live start ${key}`, (draft) => recordLiveStart(draft, command));
    }
  }

  /** Some commands, now and then in one batch, as where they come at once. */
  turn(): void {
    if (this.random.chance(0.7)) {
      this.step();
      return;
    }
    this.log.push("in one batch:");
    this.run.batch(() => {
      for (let left = this.random.int(2, 6); left > 0; left -= 1) this.step();
    });
    this.log.push("committed.");
  }

  /** Does for the run whatever it needs to end. Fails where nothing helps. */
  conclude(): void {
    const { run } = this;
    for (let round = 0; round < 60; round += 1) {
      const { status, reason } = run.header;
      if (isTerminal(status)) return;
      if (status === "PAUSED")
        this.act("resume", reason === "PAUSED_BY_OPERATOR" ? resumeRun : retryRun);
      else if (status === "RUNNING" && run.header.intent === "pause") this.act("resume", resumeRun);
      else if (status === "CANCELLING" && run.ready !== undefined) this.claim();
      else if (status === "RUNNING" || status === "CANCELLING") {
        this.act("complete", (draft) => completeRun(draft, complete(run)));
      } else if (status === "WAITING") {
        for (const key of QUESTIONS) this.answer(key);
        this.signal();
        this.childEnds();
        this.pass(60_000);
      } else if (run.ready === undefined) this.pass(60_000);
      else this.claim();
    }
    throw new Error(`The run is stuck: ${JSON.stringify(run.header)}`);
  }
}

test(`random commands keep the invariants; seeds ${first} to ${first + RUNS - 1}`, () => {
  const ends = new Map<string, number>();
  for (let seed = first; seed < first + RUNS; seed += 1) {
    const drive = new Drive(seed);
    try {
      for (let i = 0; i < TURNS_PER_RUN; i += 1) drive.turn();
      drive.conclude();
    } catch (cause) {
      const tail = drive.log.slice(-20).join("\n  ");
      throw new Error(`PAWL_SEED=${seed} breaks it. The last commands:\n  ${tail}`, { cause });
    }
    const { status } = drive.run.header;
    ends.set(status, (ends.get(status) ?? 0) + 1);
  }
  // Otherwise the game is too tame to find anything.
  expect([...ends.keys()].sort()).toEqual(["CANCELLED", "COMPLETED", "FAILED"]);
});
