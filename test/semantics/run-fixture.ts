/**
 * One run and the rows that a store would hold of it, for tests of decisions without a database:
 * `do` decides as the writer does, applies the write, and checks what must hold after every write.
 */
import { isDeepStrictEqual } from "node:util";
import { startGrace } from "../../server/src/engine/decide/clean-up.ts";
import { newRun, type StartCommand } from "../../server/src/engine/decide/start-rules.ts";
import type { ChildOutcome } from "../../server/src/engine/decide/wait-rules.ts";
import { Draft } from "../../server/src/engine/draft.ts";
import { childDecision } from "../../server/src/engine/due/child-due.ts";
import { decideDue } from "../../server/src/engine/due/due-handler.ts";
import { DUE_HANDLERS } from "../../server/src/engine/due/due-handlers.ts";
import { parentDecision } from "../../server/src/engine/due/parent-due.ts";
import type {
  CompleteRun,
  FailRun,
  StartRun,
  StepCompleted,
  StepFailed,
  StepIdentity,
  StepStarted,
  SuspendRun,
} from "../../server/src/engine/engine-api.ts";
import { type RunMemory, satisfied, stateOf } from "../../server/src/engine/journal/run-memory.ts";
import { BOUNDS } from "../../server/src/model/bounds.ts";
import type { Entry, Failure } from "../../server/src/model/entry.ts";
import type { Payload } from "../../server/src/model/payload.ts";
import {
  canBecome,
  hasLapsed,
  isTerminal,
  type RunHeader,
  type WaitTree,
} from "../../server/src/model/run.ts";
import type { DueItem, DueKind, DueRow } from "../../server/src/store/due.ts";
import type { ReadyRow, RunWrite } from "../../server/src/store/runs.ts";
import type { WaitRow } from "../../server/src/store/waits.ts";

export const RUN_ID = "run-1";
const START_AT = 1_000_000;

export function json(value: unknown): Payload {
  return { encoding: "json", data: new TextEncoder().encode(JSON.stringify(value)) };
}

/** What a JSON payload says. */
export function jsonValue(payload: Payload | undefined): unknown {
  return payload?.data === undefined
    ? undefined
    : JSON.parse(new TextDecoder().decode(payload.data));
}

export function startOf(more: Partial<StartRun> = {}): StartRun {
  return {
    workflow: "flow",
    input: json({ n: 1 }),
    runId: RUN_ID,
    idempotencyKey: "",
    queue: "default",
    priority: 5,
    version: "",
    sessionId: "",
    userId: "",
    tags: {},
    traceparent: "",
    claim: false,
    workerId: "",
    ...more,
  };
}

export function startCommand(more: Partial<StartRun> = {}, digest = "input-digest"): StartCommand {
  const start = startOf(more);
  const claim = start.claim
    ? { connectionId: "claim/1", workerId: start.workerId, until: 0 }
    : undefined;
  return {
    org: "default",
    start,
    runId: start.runId,
    runUid: "uid-1",
    inputDigest: digest,
    limits: {},
    claim,
  };
}

/** A run with the rows that belong to it. */
export class TestRun {
  now = START_AT;
  random = 0;
  state: RunMemory;
  readonly journal: Entry[] = [];
  readonly due = new Map<string, DueRow>();
  /** The rows of open waits. */
  readonly waits = new Map<string, WaitRow>();
  readonly elsewhere: { runId: string; row: DueRow }[] = [];
  ready: ReadyRow | undefined;
  deleted = false;
  #open: Draft | undefined;

  constructor(start: Partial<StartRun> = {}) {
    const draft = newRun(startCommand(start), { now: this.now, random: this.random });
    this.state = draft.state;
    this.#apply(draft.toWrite(undefined));
    this.check();
  }

  get header(): RunHeader {
    return this.state.header;
  }

  get fence(): number {
    return this.header.fence;
  }

  /** The types of the journal's entries, without `run.started`. */
  get types(): string[] {
    return this.journal.slice(1).map((entry) => entry.type);
  }

  get last(): Entry {
    const entry = this.journal.at(-1);
    if (entry === undefined) throw new Error("The journal is empty.");
    return entry;
  }

  /**
   * Decides on a copy; applies the write where it was not refused. A refusal must leave no trace.
   *
   * @param fence of a worker's write, which may take a lapsed lease back
   */
  do<R>(decide: (draft: Draft) => R, fence?: number): R {
    if (this.#open !== undefined) return this.#decide(this.#open, decide, fence);
    const draft = this.#draft();
    const answer = this.#decide(draft, decide, fence);
    this.#commit(draft);
    return answer;
  }

  /** What is done meanwhile is one batch: each command sees what those before it have decided. */
  batch(commands: () => void): void {
    const draft = this.#draft();
    this.state = draft.state;
    this.#open = draft;
    commands();
    this.#open = undefined;
    this.#commit(draft);
  }

  get isInBatch(): boolean {
    return this.#open !== undefined;
  }

  #draft(): Draft {
    const moment = { now: this.now, random: this.random };
    return new Draft(structuredClone(this.state), moment, false);
  }

  #decide<R>(draft: Draft, decide: (draft: Draft) => R, fence: number | undefined): R {
    const { header } = draft;
    const before = { status: header.status, fence: header.fence };
    const written = draft.changed ? structuredClone(draft.toWrite(undefined)) : undefined;
    let answer: R;
    if (fence === header.fence && hasLapsed(header))
      draft.offerLease({ connectionId: "replica/worker-1", workerId: "w1", until: this.now });
    try {
      answer = decide(draft);
    } catch (error) {
      draft.offerLease(undefined);
      const isSame =
        written === undefined
          ? !draft.changed
          : isDeepStrictEqual(draft.toWrite(undefined), written);
      if (!isSame) throw new Error("A refused decision changed the run.", { cause: error });
      throw error;
    }
    draft.offerLease(undefined);
    if (draft.tookBack || fence === header.fence) startGrace(draft);
    if (header.fence < before.fence) throw new Error("The fence went back.");
    const { status } = header;
    if (status !== before.status && !canBecome(before.status, status))
      throw new Error(`${before.status} became ${status}, which the model does not allow.`);
    return answer;
  }

  #commit(draft: Draft): void {
    if (!draft.changed) return;
    this.state = draft.state;
    this.#apply(draft.toWrite(undefined));
    if (!this.deleted) this.check();
  }

  /** What a claim does in the store. */
  claim(session = "replica/worker-1", workerId = "w1"): number {
    if (this.ready === undefined)
      throw new Error(`A run that is ${this.header.status} is not ready.`);
    const { header } = this.state;
    this.ready = undefined;
    this.due.delete("queue:");
    if (header.status !== "CANCELLING") header.status = "RUNNING";
    header.fence += 1;
    header.attempt += 1;
    header.updatedAt = this.now;
    if (header.startedAt === 0) header.startedAt = this.now;
    header.lease = { connectionId: session, workerId, until: this.now + 15_000 };
    if (header.status === "CANCELLING") this.do(startGrace);
    this.check();
    return header.fence;
  }

  dueRow(kind: DueKind, key = ""): DueRow | undefined {
    return this.due.get(`${kind}:${key}`);
  }

  #apply(write: RunWrite): void {
    this.journal.push(...write.entries);
    this.deleted = write.deleteRun === true;
    const { ready, due, waits } = write.changes;
    if (ready === "remove") this.ready = undefined;
    else if (ready !== undefined) this.ready = ready;
    if (due?.isCleared === true) this.due.clear();
    for (const { kind, key, upTo = Number.POSITIVE_INFINITY } of due?.remove ?? []) {
      if ((this.due.get(`${kind}:${key}`)?.at ?? 0) <= upTo) this.due.delete(`${kind}:${key}`);
    }
    for (const { key } of waits?.gone ?? []) this.waits.delete(key);
    for (const row of waits?.put ?? []) this.waits.set(row.key, row);
    for (const row of due?.put ?? []) this.due.set(`${row.kind}:${row.key}`, row);
    this.elsewhere.push(...(due?.elsewhere ?? []));
    const lease = write.changes.lease === "remove" ? null : write.changes.lease;
    if (lease !== undefined && !isDeepStrictEqual(lease, this.header.lease)) {
      throw new Error("The write's lease is not the header's.");
    }
  }

  /** @throws naming the first invariant that does not hold. */
  check(): void {
    const problem = this.#problem();
    if (problem !== undefined) throw new Error(`${problem} (${JSON.stringify(this.header)})`);
  }

  #problem(): string | undefined {
    const { header } = this;
    if (this.journal.some((entry, index) => entry.seq !== index + 1))
      return "The journal has a gap.";
    if (header.seq !== this.journal.length) return "The header's seq is not the journal's.";
    if (!isDeepStrictEqual(stateOf(header, this.journal), this.state)) {
      return "The state is not the fold of the journal.";
    }
    const cleaning = header.status === "CANCELLING";
    const leased = header.status === "RUNNING" || (cleaning && this.ready === undefined);
    if (leased !== (header.lease !== null)) return "Lease and status do not agree.";
    // A holder that takes its run back may still have to hear that a pause was taken back.
    const outlives = header.status === "QUEUED" && header.intent === "resume";
    if (!leased && !cleaning && !outlives && header.intent !== "none")
      return "An intent outlived its lease.";
    const unlisted = this.#listProblem();
    if (unlisted !== undefined) return unlisted;
    if (isTerminal(header.status)) return this.#endedProblem();
    if (header.endedAt !== 0) return "A run that continues has an end.";
    const hasGrace = header.lease !== null && (header.notes.cleanUp?.since ?? 0) !== 0;
    if (hasGrace !== this.due.has("grace:")) return "A grace without a clean-up, or the reverse.";
    if (cleaning !== (header.notes.cleanUp !== undefined))
      return "The notes do not fit the status.";
    if (header.status === "QUEUED" ? !this.#queued() : !cleaning && this.ready !== undefined) {
      return "The ready row does not fit the status.";
    }
    return this.#stuck();
  }

  /** Open waits have rows, and nothing else has. */
  #listProblem(): string | undefined {
    const open = new Set<string>();
    for (const [key, step] of this.state.steps) {
      if (step.status !== "waiting" || isTerminal(this.header.status)) continue;
      const isShort = step.kind === "sleep" && step.until - step.firstAt < BOUNDS.listedSleepMs;
      if (!isShort) open.add(key);
    }
    const missing = [...open].filter((key) => !this.#isListedOpen(key));
    const stale = [...this.waits.keys()].filter((key) => this.#isListedOpen(key) && !open.has(key));
    if (missing.length + stale.length === 0) return undefined;
    return `Of the list of waits ${missing.join(", ")} is missing, ${stale.join(", ")} left over.`;
  }

  #isListedOpen(key: string): boolean {
    return this.waits.get(key)?.kind.startsWith("closed ") === false;
  }

  #queued(): boolean {
    return this.ready !== undefined || this.due.has("start:");
  }

  #endedProblem(): string | undefined {
    const { header } = this;
    if (this.due.size > 0) return `An ended run has due work: ${[...this.due.keys()].join(", ")}.`;
    if (this.ready !== undefined) return "An ended run is ready.";
    if (header.waiting !== null) return "An ended run waits.";
    return header.endedAt === 0 ? "An ended run has no end." : undefined;
  }

  /** Whether something is waited for that nothing will ever resolve. */
  #stuck(): string | undefined {
    const { waiting, status } = this.header;
    for (const [key, step] of this.state.steps) {
      if (step.status === "waiting" && step.until !== 0 && !this.due.has(`wait:${key}`)) {
        return `The timer of "${key}" is gone.`;
      }
    }
    if (status !== "WAITING") return undefined;
    if (waiting === null) return "It waits for nothing.";
    // A retry may be due whose timer has not fired yet.
    const firing = [...this.due.values()].some((row) => row.kind === "retry" && row.at <= this.now);
    if (!firing && satisfied(this.state, waiting.tree, this.now))
      return "It waits for what is there.";
    for (const key of keysOf(waiting.tree)) {
      const step = this.state.steps.get(key);
      const backsOff = step?.status === "backoff" && step.until > this.now;
      if (backsOff && !this.due.has(`retry:${key}`)) return `The retry of "${key}" has no timer.`;
    }
    return undefined;
  }
}

function keysOf(tree: WaitTree): string[] {
  return "key" in tree ? [tree.key] : tree.members.flatMap(keysOf);
}

/** The commands of a worker that holds the run, with defaults. */
export function identity(
  run: TestRun,
  key: string,
  more: Partial<StepIdentity> = {},
): StepIdentity {
  return {
    runId: run.header.runId,
    fence: run.fence,
    key,
    name: key,
    kind: "step",
    inputDigest: "",
    definitionDigest: "",
    ...more,
  };
}

export function started(run: TestRun, key: string, more: Partial<StepStarted> = {}): StepStarted {
  return { ...identity(run, key, more), atMostOnce: false, requestId: "", ...more };
}

export function completed(
  run: TestRun,
  key: string,
  more: Partial<StepCompleted> = {},
): StepCompleted {
  return {
    ...identity(run, key, more),
    attempt: 1,
    output: json(`result of ${key}`),
    latencyMs: 5,
    ...more,
  };
}

export const BOOM: Failure = { type: "Boom", message: "it broke" };

export function failed(run: TestRun, key: string, more: Partial<StepFailed> = {}): StepFailed {
  return { ...identity(run, key, more), attempt: 1, failure: BOOM, latencyMs: 5, ...more };
}

export function suspend(run: TestRun, more: Partial<SuspendRun> = {}): SuspendRun {
  return { runId: run.header.runId, fence: run.fence, waits: [], ...more };
}

export function complete(run: TestRun, more: Partial<CompleteRun> = {}): CompleteRun {
  return {
    runId: run.header.runId,
    fence: run.fence,
    output: json("done"),
    unconsumed: [],
    ...more,
  };
}

export function fail(run: TestRun, more: Partial<FailRun> = {}): FailRun {
  return { runId: run.header.runId, fence: run.fence, failure: BOOM, failedStepKeys: [], ...more };
}

/** Fires a row, with what the handlers of `child` and `parent` would have read. */
export function dueFired(
  draft: Draft,
  row: DueRow & Pick<DueItem, "heldUntil">,
  child?: ChildOutcome,
  isOrphan = false,
): void {
  const handler = DUE_HANDLERS[row.kind];
  if ("decide" in handler) decideDue(draft, row, handler.decide);
  else
    decideDue(
      draft,
      row,
      row.kind === "child" ? childDecision(child) : parentDecision({ isOrphan }),
    );
}
