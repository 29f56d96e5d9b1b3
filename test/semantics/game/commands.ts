/** All that workers, clients and operators can ask of the engine about a run, at random. */

import type { NewWait } from "../../../server/src/engine/engine-api.ts";
import { PawlError } from "../../../server/src/model/errors.ts";
import type { Question } from "../../../server/src/model/question.ts";
import { NO_RETRY } from "../../../server/src/model/retry.ts";
import { isTerminal, type WaitTree } from "../../../server/src/model/run.ts";
import { caller, completedOf, start, startedOf } from "../engine-fixture.ts";
import { BOOM, json } from "../run-fixture.ts";
import type { Table } from "./table.ts";

export const KEYS = ["a", "b", "c"];
export const WAITS = ["sleep:s", "sleep:t", "signal:g", "user:one", "user:two", "callback:cb"];
const CHILD = "child:c";
const QUESTIONS = ["user:one", "user:two", "callback:cb"];
const ONE: Question = { prompt: "1?", type: "text", skippable: true, remindersMs: [5, 20] };
const TWO: Question = {
  prompt: "2?",
  type: "approval",
  assignees: ["p", "q"],
  approvalsNeeded: 2,
};

/** By the id of its parent. */
export function childOf(runId: string): string {
  return `${runId}~c`;
}

/** How often each kind of command is drawn. */
const WEIGHTS = {
  start: 40,
  complete: 35,
  fail: 12,
  stop: 6,
  wait: 40,
  suspend: 16,
  closeWaits: 4,
  cleanUp: 2,
  end: 2,
  failRun: 3,
  misfit: 1,
  pause: 4,
  resume: 10,
  retry: 14,
  cancel: 1,
  tags: 2,
  signal: 8,
  answer: 20,
  cancelWait: 3,
  link: 6,
  startRun: 6,
  claim: 2,
  child: 10,
  again: 16,
  read: 6,
  heartbeat: 2,
  live: 4,
  nack: 3,
  poll: 2,
  reconnect: 1,
};

export type CommandKind = keyof typeof WEIGHTS;
export const KINDS = Object.keys(WEIGHTS) as readonly CommandKind[];

export class Commands {
  readonly #table: Table;
  /** Of each kind, how many were not refused. */
  readonly accepted = new Map<CommandKind, number>();
  /** The question that was asked last, by run. */
  readonly #asked = new Map<string, string>();
  #nonce = 0;

  constructor(table: Table) {
    this.#table = table;
  }

  /** One command, or none if what it is about does not exist. Refusals are part of the game. */
  async ask(kind: CommandKind, runId: string): Promise<void> {
    try {
      await this.#perform(kind, runId);
      this.accepted.set(kind, (this.accepted.get(kind) ?? 0) + 1);
    } catch (error) {
      const isRefusal =
        error instanceof PawlError &&
        error.reason !== "STORE_UNAVAILABLE" &&
        error.reason !== "DATA_CORRUPTED";
      if (!isRefusal) this.#table.problems.push(`${kind} of ${runId}: ${String(error)}`);
    }
  }

  /** Some different kinds, to be asked at once. */
  burst(size: number): readonly CommandKind[] {
    const kinds = new Set<CommandKind>();
    while (kinds.size < size) kinds.add(this.draw());
    return [...kinds];
  }

  draw(): CommandKind {
    let dice = this.#random.int(0, Object.values(WEIGHTS).reduce((sum, one) => sum + one, 0) - 1);
    const found = KINDS.find((kind) => {
      dice -= WEIGHTS[kind];
      return dice < 0;
    });
    return found ?? "start";
  }

  get #random() {
    return this.#table.random;
  }

  /** Mostly the current fence, sometimes an old one. */
  #fence(runId: string): number {
    const fence = this.#table.lives.get(runId)?.fence ?? 1;
    return this.#random.chance(0.9) ? fence : Math.max(1, fence - this.#random.int(0, 4));
  }

  async #perform(kind: CommandKind, runId: string): Promise<unknown> {
    const random = this.#random;
    const { engine } = this.#table;
    const fence = this.#fence(runId);
    const key = random.pick(KEYS);
    switch (kind) {
      case "start":
        return await this.#start(runId, fence, key);
      case "complete":
        return await this.#complete(runId, fence, key);
      case "fail":
      case "stop": {
        const failed = completedOf(runId, fence, key, { attempt: random.int(1, 3) });
        const cancelled = kind === "stop" ? { cancelled: true as const } : {};
        return await engine.steps.fail(caller, { ...failed, ...cancelled, failure: BOOM });
      }
      case "wait": {
        const { kind: what, ...wait } = this.#wait(runId);
        const started = startedOf(runId, fence, wait.key, { ...wait, kind: what });
        return await engine.steps.start(caller, started);
      }
      case "suspend":
        return await this.#suspend(runId, fence);
      case "closeWaits": {
        const keys = random.sample([...WAITS, CHILD], random.int(1, 3));
        return await engine.outcomes.closeWaits(caller, { runId, fence, keys });
      }
      case "cleanUp": {
        const compensations = random.sample(["compensate:a", "compensate:b"], random.int(1, 2));
        return await engine.outcomes.beginCleanUp(caller, { runId, fence, compensations });
      }
      case "end":
        return await engine.outcomes.complete(caller, {
          runId,
          fence,
          output: json(1),
          unconsumed: [],
        });
      case "failRun":
      case "misfit": {
        const nonDeterminism = { stepKey: key, recorded: "", attempted: "", likelyCause: "" };
        const failed = { runId, fence, failure: BOOM, failedStepKeys: [key] };
        return await engine.outcomes.fail(
          caller,
          kind === "misfit" ? { ...failed, nonDeterminism } : failed,
        );
      }
      case "live":
      case "nack":
        return this.#tellConnection(kind, runId, fence, key);
      case "heartbeat":
        return await engine.polling.heartbeat(caller, [{ runId, fence }]);
      case "poll":
        return await this.#table.poll();
      case "reconnect":
        return await this.#table.reconnect();
      default:
        return await this.#fromOutside(kind, runId);
    }
  }

  async #fromOutside(kind: CommandKind, runId: string): Promise<unknown> {
    const random = this.#random;
    const { engine } = this.#table;
    switch (kind) {
      case "pause":
        return await engine.runs.pause(caller, runId, "");
      case "resume":
        return await engine.runs.resume(caller, runId);
      case "retry":
        return await engine.runs.retry(caller, runId);
      case "cancel": {
        const graceMs = random.int(0, 300);
        return await engine.runs.cancel(caller, {
          runId,
          reason: "",
          graceMs,
          force: random.chance(0.2),
        });
      }
      case "tags":
        return await engine.runs.updateTags(caller, {
          runId,
          set: { k: String(random.int(0, 3)) },
          remove: [],
        });
      case "signal":
        return await this.#signal(runId);
      case "answer":
        return await this.#answer(runId, this.#question(runId));
      case "cancelWait":
        return await engine.waits.cancel(
          caller,
          { runId, key: random.pick(WAITS) },
          { actor: "", comment: "" },
        );
      case "link":
        return await engine.waits.createLink(
          caller,
          { runId, key: this.#question(runId) },
          { assignee: "p", expiresInMs: 60_000 },
        );
      case "startRun":
        return await start(engine, runId);
      case "claim": {
        const { claimed } = await start(engine, runId, { claim: true, workerId: "claimer" });
        if (claimed !== undefined) this.#table.given(claimed.header);
        return claimed;
      }
      case "child":
        return await this.#startChild(runId);
      case "again":
        return await this.#again(runId);
      default:
        return random.chance(0.5)
          ? await engine.steps.get(caller, runId, random.pick(KEYS))
          : await engine.runs.get(caller, runId);
    }
  }

  async #start(runId: string, fence: number, key: string): Promise<void> {
    const random = this.#random;
    const uid = this.#table.lives.get(runId)?.uid ?? "";
    const known = this.#table.results.has(`${uid} ${key}`);
    const retryPolicy = {
      ...NO_RETRY,
      maxAttempts: random.int(1, 3),
      initialMs: random.int(0, 3),
      ...(random.chance(0.1) ? { onExhausted: "pause" as const } : {}),
    };
    const command = startedOf(runId, fence, key, {
      retryPolicy,
      atMostOnce: random.chance(0.05),
      ...(random.chance(0.1) ? { timeoutMs: random.int(1, 20) } : {}),
      requestId: random.chance(0.2) ? "again" : "",
    });
    const reply = await this.#table.engine.steps.start(caller, command);
    if (reply.outcome.kind === "execute" && known)
      this.#table.problems.push(`${key} of ${runId} was completed, and is to be executed.`);
  }

  async #complete(runId: string, fence: number, key: string): Promise<void> {
    this.#nonce += 1;
    const output = String(this.#nonce);
    const uid = this.#table.lives.get(runId)?.uid ?? "";
    const attempt = this.#random.int(1, 3);
    const command = completedOf(runId, fence, key, { attempt, output: json(output) });
    await this.#table.engine.steps.complete(caller, command);
    const id = `${uid} ${key}`;
    const before = this.#table.results.get(id);
    if (before !== undefined && before !== output)
      this.#table.problems.push(`${key} of ${runId} was completed twice.`);
    this.#table.results.set(id, output);
  }

  #wait(runId: string, key = this.#random.pick([...WAITS, CHILD])): NewWait {
    const [kind, name = ""] = key.split(":");
    if (QUESTIONS.includes(key)) this.#asked.set(runId, key);
    const timeout = this.#random.chance(0.3) ? { durationMs: this.#random.int(0, 40) } : {};
    if (kind === "sleep") return { key, name, kind, wait: { durationMs: this.#random.int(0, 15) } };
    if (kind === "signal") return { key, name, kind, wait: { signalName: name, ...timeout } };
    if (kind === "callback") return { key, name, kind, wait: timeout };
    if (kind === "user")
      return { key, name, kind, wait: { question: name === "one" ? ONE : TWO, ...timeout } };
    return { key, name, kind: "child", wait: { childRunId: childOf(runId), ...timeout } };
  }

  async #suspend(runId: string, fence: number): Promise<void> {
    const random = this.#random;
    const waits = random
      .sample([...WAITS, CHILD], random.int(0, 2))
      .map((key) => this.#wait(runId, key));
    const held = random.chance(0.4) ? random.sample(WAITS, random.int(0, 4)) : undefined;
    const tree = random.chance(0.6) ? this.#tree() : undefined;
    await this.#table.engine.outcomes.suspend(caller, { runId, fence, waits, tree, held });
  }

  #tree(depth = 0): WaitTree {
    const random = this.#random;
    if (depth > 1 || random.chance(0.5)) return { key: random.pick([...WAITS, CHILD, ...KEYS]) };
    const members = Array.from({ length: random.int(1, 3) }, () => this.#tree(depth + 1));
    const exclusive = random.chance(0.5) ? { exclusive: true as const } : {};
    return { needed: random.int(1, members.length), members, ...exclusive };
  }

  async #signal(runId: string): Promise<void> {
    const { lives, deletions, signals, engine } = this.#table;
    const uid = lives.get(runId)?.uid ?? "";
    const deletedBefore = deletions.get(runId) ?? 0;
    const signalId = `s${this.#random.int(0, 40)}`;
    await engine.signals.send(caller, { runId, name: "g", signalId, payload: json(1), actor: "" });
    // Otherwise nobody knows which life it came to.
    if (deletedBefore !== (deletions.get(runId) ?? 0)) return;
    signals.set(uid, (signals.get(uid) ?? new Set()).add(signalId));
  }

  /** Mostly one that is open. */
  #question(runId: string): string {
    const asked = this.#random.chance(0.8) ? this.#asked.get(runId) : undefined;
    return asked ?? this.#random.pick(QUESTIONS);
  }

  async #answer(runId: string, key: string): Promise<void> {
    const random = this.#random;
    this.#nonce += 1;
    const resolutionId = random.chance(0.2) ? `same ${key}` : String(this.#nonce);
    const answer = random.chance(0.9) ? json(key === "user:one" ? "yes" : true) : undefined;
    const actor = random.pick(["p", "q"]);
    const more = { actor, comment: "", via: "api" } as const;
    await this.#table.engine.waits.answer(caller, { runId, key, resolutionId, answer, ...more });
  }

  async #startChild(runId: string): Promise<void> {
    const fence = this.#fence(runId);
    const close = this.#random.chance(0.6) ? { close: "cancel" as const } : {};
    const parent = { runId, key: CHILD, fence, ...close };
    await start(this.#table.engine, childOf(runId), { parent });
  }

  /** A run that has ended is deleted, and its id used again. */
  async #again(runId: string): Promise<void> {
    const { deletions, engine } = this.#table;
    const { header } = await engine.runs.get(caller, runId);
    if (!isTerminal(header.status)) return;
    const count = () => deletions.set(runId, (deletions.get(runId) ?? 0) + 1);
    count();
    await engine.runs.delete(caller, runId).finally(count);
    await start(engine, runId);
  }

  #tellConnection(kind: "live" | "nack", runId: string, fence: number, key: string): void {
    const { connection } = this.#random.pick(this.#table.workers);
    if (kind === "nack") connection?.nack(runId, fence, "given back");
    else connection?.stepStartedLive(startedOf(runId, fence, key));
  }

  /** What a run needs to come to its end. */
  async help(runId: string): Promise<void> {
    const { engine } = this.#table;
    const { header } = await engine.runs.get(caller, runId);
    const { status, reason, intent, fence, lease } = header;
    if (isTerminal(status)) return;
    if (status === "PAUSED" && reason !== "PAUSED_BY_OPERATOR") await this.ask("retry", runId);
    else if (status === "PAUSED" || intent === "pause") await this.ask("resume", runId);
    else if (lease !== null) {
      const end = { runId, fence, output: json("end"), unconsumed: [] };
      await engine.outcomes.complete(caller, end).catch(() => undefined);
    } else if (status === "WAITING") {
      await this.ask("signal", runId);
      // There may be no such child, or one that somebody else started.
      await engine.waits
        .cancel(caller, { runId, key: CHILD }, { actor: "", comment: "" })
        .catch(() => undefined);
      for (const key of QUESTIONS)
        for (const actor of ["p", "q"]) {
          const answer = json(key === "user:one" ? "yes" : true);
          const more = { resolutionId: "", comment: "", via: "api", actor, answer } as const;
          await engine.waits.answer(caller, { runId, key, ...more }).catch(() => undefined);
        }
    }
  }
}
