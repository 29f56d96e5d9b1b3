/**
 * One execution of a run by this worker: from the dispatch until the run ends,
 * is suspended, or is taken away.
 *
 *   running ──▶ suspending ──▶ left      nothing to do but wait: given back
 *      │  ▲         │
 *      │  └─────────┘                    the server had something to do after all
 *      ├──▶ ending ──▶ left              result or failure is being reported
 *      └──▶ left                         lease lost, or paused
 *
 * Once left, no promise of user code settles any more, so nothing that user code
 * catches or cleans up can act for a run that is not its own.
 */

import { timestampNow } from "@bufbuild/protobuf/wkt";
import { Directive, type JournalEntry, type WaitTree } from "@pawl/proto";
import { encode, type PayloadInit, payloadOf } from "../codec/payload.ts";
import { Cancelled, NonDeterminismError, PawlError, StepFailedError } from "../errors.ts";
import { toFailure } from "../failure.ts";
import { Backoff, delay } from "../lib/delay.ts";
import type { Logger } from "../lib/logger.ts";
import { limits } from "../limits.ts";
import { Deliveries } from "./deliveries.ts";
import type { FailRunInit, RunLink } from "./link.ts";
import { type Memo, recordOf } from "./memo.ts";
import type { Operation } from "./operation.ts";
import { Scope } from "./scope.ts";
import type { StepBody } from "./step-body.ts";

/** What is known of a run when its execution begins. */
export interface RunFacts {
  readonly runId: string;
  readonly fence: number;
  /** How often the run has been leased out, from 1. */
  readonly attempt: number;
  readonly workflow: string;
  readonly version: string;
  readonly tags: Readonly<Record<string, string>>;
  readonly sessionId: string;
  readonly userId: string;
  readonly traceparent: string;
  readonly parent: { readonly runId: string; readonly stepKey: string } | undefined;
  readonly cancelling: boolean;
}

/** A step that may not start now. */
interface Held {
  readonly operation: Operation;
  readonly begin: () => void;
}

interface OpenWait {
  readonly dueMs: number | undefined;
}

type RunState = "running" | "suspending" | "ending" | "left";

/** Reasons that the code which sent the request deals with itself. */
const forCaller = new Set([
  "PAYLOAD_TOO_LARGE",
  "INVALID_ARGUMENT",
  "COMMIT_CONFLICT",
  "RUN_EXISTS",
  "INVALID_INPUT",
  "NOT_FOUND",
]);
const gone = new Set(["LEASE_LOST", "RUN_TERMINAL", "RUN_PAUSED", "ILLEGAL_TRANSITION"]);

export class Run {
  readonly facts: RunFacts;
  readonly link: RunLink;
  readonly memo: Memo;
  readonly logger: Logger;
  readonly deliveries = new Deliveries();
  readonly root: Scope;
  /** Everything that user code has asked for and not yet been given. */
  readonly operations = new Set<Operation>();
  /** Runs the body of a step with its context around it. */
  readonly invoke: (body: StepBody) => unknown;
  #fence: number;
  #state: RunState = "running";
  /** Operations that have something of this worker's to do. */
  #busy = 0;
  #activity = 0;
  #requests = 0;
  readonly #waits = new Map<string, OpenWait>();
  readonly #controllers = new Set<Scope>();
  #held: Held[] = [];
  #paused = false;
  #cancelReason: string | undefined;
  #cancelDelivered = false;
  #quietTimer: NodeJS.Timeout | undefined;

  constructor(data: {
    facts: RunFacts;
    link: RunLink;
    memo: Memo;
    logger: Logger;
    invoke: (body: StepBody) => unknown;
  }) {
    this.facts = data.facts;
    this.link = data.link;
    this.memo = data.memo;
    this.logger = data.logger;
    this.invoke = data.invoke;
    this.#fence = data.facts.fence;
    this.root = new Scope(this.deliveries, undefined, "", false);
    if (data.facts.cancelling) this.#cancelReason = "the run is being cancelled";
    if (data.memo.size > 0) this.deliveries.beginReplay();
  }

  get runId(): string {
    return this.facts.runId;
  }

  get fence(): number {
    return this.#fence;
  }

  /** Nothing of this run may reach user code or the platform any more. */
  get left(): boolean {
    return this.#state === "left" || this.#state === "ending";
  }

  /** An id for a start, the same however often it is sent. */
  nextRequestId(): string {
    this.#requests += 1;
    return `${this.#fence}-${this.facts.attempt}-${this.#requests}`;
  }

  get #isGone(): boolean {
    return this.#state === "left";
  }

  // ── starting operations ──

  /** A new operation without a record. */
  arrive(operation: Operation): void {
    if (this.left) return;
    const ended = operation.scope.ended;
    if (ended !== undefined) operation.abort(ended);
    else if (this.deliveries.replaying)
      this.deliveries.park(() => this.admit(operation, () => operation.begin()));
    else this.admit(operation, () => operation.begin());
  }

  /** Lets an operation begin, now or once it may. */
  admit(operation: Operation, begin: () => void): void {
    if (this.left || operation.isAborted || !this.operations.has(operation)) return;
    const ended = operation.scope.ended;
    if (ended !== undefined) {
      operation.abort(ended);
    } else if (this.#cancelReason !== undefined && !this.#cancelDelivered) {
      operation.abort(this.#cancelReason);
    } else if (this.#state === "suspending" || this.#paused || !this.link.canStart()) {
      this.#held.push({ operation, begin });
      this.#checkQuiet();
    } else {
      this.#activity += 1;
      begin();
    }
  }

  /** Keeps an operation until starts are allowed again. */
  hold(operation: Operation): void {
    this.#held.push({ operation, begin: () => operation.begin() });
  }

  /** The platform is in reach again, or starts are allowed again. */
  wake(): void {
    if (this.#held.length === 0 || this.#paused || this.#state !== "running") return;
    const held = this.#held;
    this.#held = [];
    for (const { operation, begin } of held) this.admit(operation, begin);
  }

  /** An operation has something to do here (`true`), or only waits. */
  setBusy(busy: boolean): void {
    this.#busy += busy ? 1 : -1;
    this.#activity += 1;
    if (!busy) this.#checkQuiet();
  }

  /** Delivers what has just happened to an operation. */
  deliver(seq: number, deliver: () => void): void {
    this.deliveries.push(seq, deliver, this.operations.size === 1);
  }

  // ── waiting ──

  addWait(key: string, dueMs: number | undefined): void {
    this.#waits.set(key, { dueMs });
    this.#activity += 1;
    this.#checkQuiet();
  }

  removeWait(key: string): void {
    this.#waits.delete(key);
    this.#activity += 1;
  }

  /** The server resolved a wait of this run while it is held here. */
  waitResolved(entry: JournalEntry): void {
    if (this.left) return;
    this.memo.add([entry]);
    const record = recordOf(entry);
    for (const operation of this.operations) {
      if (operation.key !== entry.stepKey) continue;
      operation.resolved(record);
      return;
    }
  }

  #checkQuiet(): void {
    if (this.#state !== "running" || this.#busy > 0 || this.#quietTimer !== undefined) return;
    if (!this.#paused && (this.#waits.size === 0 || !this.link.suspends)) return;
    const before = this.#activity;
    this.#quietTimer = setTimeout(() => {
      this.#quietTimer = undefined;
      if (this.#activity !== before) this.#checkQuiet();
      else if (this.#state === "running" && this.#busy === 0) this.#suspendIfWorthwhile();
    }, limits.suspendLingerMs);
  }

  #suspendIfWorthwhile(): void {
    if (this.#paused) {
      void this.#suspend([]);
      return;
    }
    const soonest = Math.min(
      ...[...this.#waits.values()].map((wait) => wait.dueMs ?? Number.POSITIVE_INFINITY),
    );
    if (soonest - Date.now() >= limits.hotWaitMs) void this.#suspend([...this.#waits.keys()]);
  }

  async #suspend(keys: string[]): Promise<void> {
    this.#state = "suspending";
    const members: WaitTree[] = keys.map((key) => ({
      $typeName: "pawl.v1.WaitTree",
      node: { case: "stepKey", value: key },
    }));
    const response = await this.persist(() =>
      this.link.suspend({
        runId: this.runId,
        fence: this.#fence,
        ...(members.length === 0
          ? {}
          : { tree: { node: { case: "group", value: { members, needed: 1 } } } }),
      }),
    );
    if (this.#state !== "suspending") return;
    if (!response.resumed) return this.leave("suspended");
    this.#state = "running";
    if (response.directive !== Directive.PAUSE) this.#paused = false;
    for (const entry of response.resolved) this.waitResolved(entry);
    const answered = new Set(response.resolved.map((entry) => entry.stepKey));
    for (const operation of [...this.operations]) {
      if (this.#waits.has(operation.key) && !answered.has(operation.key)) operation.askAgain();
    }
    this.obey(response.directive);
    this.wake();
  }

  // ── what the platform wants ──

  obey(directive: Directive): void {
    if (directive <= Directive.CONTINUE) return;
    if (directive === Directive.PAUSE) this.pause();
    else if (directive === Directive.YIELD) this.leave("the platform took the run back");
    // DIRECTIVE_CANCEL announces the new fence, which comes with Cancel or the next heartbeat.
    else this.link.attention(this.runId);
  }

  /** The answer to a start: neither this nor another step is to run. */
  stop(reason: string, fence: number, operation: Operation): void {
    if (reason === "RUN_CANCELLED") {
      this.cancel(fence, "");
    } else if (reason === "RUN_PAUSED") {
      this.hold(operation);
      this.pause();
    } else {
      this.leave(reason);
    }
  }

  /** No step starts any more; once those in flight are recorded, the run is given back. */
  pause(): void {
    if (this.#paused || this.left) return;
    this.#paused = true;
    this.#checkQuiet();
  }

  /** Cancels: aborts what is in flight and lets the code clean up under the new fence. */
  cancel(fence: number, reason: string): void {
    if (this.#state === "left") return;
    if (fence !== 0) this.#fence = fence;
    if (this.#cancelReason !== undefined || this.#state === "ending") return;
    this.#cancelReason = reason || "the run is being cancelled";
    this.#paused = false;
    this.#abort(this.root, this.#cancelReason);
    this.wake();
  }

  /** Cancellation has reached user code: what it starts from now on is clean-up. */
  cancelWasDelivered(): void {
    if (this.#cancelReason !== undefined) this.#cancelDelivered = true;
  }

  /** Ends a branch: aborts what is in flight in it; nothing starts in it any more. */
  endScope(scope: Scope, reason: string): void {
    scope.end(reason);
    this.#abort(scope, reason);
  }

  #abort(scope: Scope, reason: string): void {
    for (const holder of [...this.#controllers]) {
      if (holder.isWithin(scope)) holder.abortController.abort(new Cancelled(reason));
    }
    this.#held = this.#held.filter(({ operation }) => !operation.scope.isWithin(scope));
    for (const operation of [...this.operations]) {
      if (operation.scope.isWithin(scope)) operation.abort(reason);
    }
  }

  /** The body of a step is over: what it left behind concerns nobody any more. */
  closeStepScope(scope: Scope, reason: string): void {
    scope.end(reason);
    this.#controllers.delete(scope);
    if (scope.hasAbortSignal) scope.abortController.abort(new Cancelled(reason));
    for (const operation of [...this.operations]) {
      if (!operation.scope.isWithin(scope)) continue;
      operation.abort(reason);
      operation.detach();
    }
  }

  abortSignal(scope: Scope): AbortSignal {
    if (!scope.hasAbortSignal) {
      this.#controllers.add(scope);
      const ended = scope.ended ?? (scope === this.root ? this.#cancelReason : undefined);
      if (ended !== undefined) scope.abortController.abort(new Cancelled(ended));
    }
    return scope.abortController.signal;
  }

  /** Sends live output; `body` is the attempt of the step that it belongs to, if any. */
  publish(type: string, value: unknown, body: StepBody | undefined): void {
    if (this.left) return;
    // At the level of the workflow a replay would send it again.
    if (body === undefined && this.deliveries.replaying) return;
    const encoded = encode(value, `an event "${type}"`);
    if (body !== undefined) body.sequence += 1;
    this.link.publish(
      this.runId,
      this.#fence,
      {
        type,
        payload: payloadOf(encoded),
        sourceTimestamp: timestampNow(),
        ...(body === undefined
          ? {}
          : { stepKey: body.operation.key, attempt: body.attempt, sequence: body.sequence }),
      },
      encoded.data.length + 100,
    );
  }

  // ── the end ──

  /** Reports the result that the workflow returned. */
  async complete(output: () => Promise<PayloadInit>): Promise<void> {
    if (this.left) return;
    if (this.#cancelReason !== undefined) return this.end(new Cancelled(this.#cancelReason));
    try {
      const payload = await output();
      if (this.left) return;
      this.#state = "ending";
      await this.persist(() =>
        this.link.complete({
          runId: this.runId,
          fence: this.#fence,
          output: payload,
          unconsumedStepKeys: this.memo.size === 0 ? [] : this.memo.unconsumed(),
        }),
      );
      this.leave("completed");
    } catch (error) {
      if (this.#state === "ending") this.#state = "running";
      await this.end(error);
    }
  }

  /** Ends the run with an error: failed, cancelled, or paused where code and journal disagree. */
  async end(error: unknown): Promise<void> {
    if (this.left) return;
    this.#state = "ending";
    const request: FailRunInit = {
      runId: this.runId,
      failure:
        this.#cancelReason === undefined
          ? toFailure(error)
          : { ...toFailure(error), type: "Cancelled", message: this.#cancelReason },
      failedStepKeys: this.#failedKeys(error),
    };
    if (error instanceof NonDeterminismError) {
      const { stepKey, recorded, attempted, likelyCause } = error;
      request.nonDeterminism = { stepKey, recorded, attempted, likelyCause };
    }
    try {
      await this.persist(() => this.link.fail({ ...request, fence: this.#fence }, error));
      this.leave("failed");
    } catch (refusal) {
      this.logger.error("the platform refused the report of a failed run", {
        runId: this.runId,
        refusal: String(refusal),
      });
      this.leave("its failure could not be reported");
    }
  }

  #failedKeys(error: unknown): string[] {
    const keys: string[] = [];
    let at: unknown = error;
    for (
      let depth = 0;
      at instanceof Error && depth < limits.causeDepthMax;
      depth += 1, at = at.cause
    ) {
      if (!(at instanceof StepFailedError)) continue;
      for (const key of [...this.memo.failedWithin(at.stepKey), at.stepKey]) {
        if (!keys.includes(key)) keys.push(key);
      }
    }
    return keys;
  }

  /** The run is no longer this worker's: aborts what runs, and settles nothing any more. */
  leave(why: string): void {
    if (this.#state === "left") return;
    this.#state = "left";
    this.logger.debug("a run left this worker", { runId: this.runId, why });
    clearTimeout(this.#quietTimer);
    for (const holder of this.#controllers) holder.abortController.abort(new Cancelled(why));
    this.#controllers.clear();
    for (const operation of this.operations) operation.clear();
    this.operations.clear();
    this.#held = [];
    this.link.released(this);
  }

  /**
   * Sends until the platform has answered. Never settles once the run is gone;
   * rejects only for reasons that the caller deals with.
   */
  async persist<T>(send: () => Promise<T>): Promise<T> {
    const backoff = new Backoff(50, 2_000);
    for (;;) {
      const fence = this.#fence;
      try {
        return await send();
      } catch (error) {
        if (this.#isGone) return new Promise<never>(() => undefined);
        if (!(error instanceof PawlError)) throw error;
        if (forCaller.has(error.reason)) throw error;
        if (gone.has(error.reason)) {
          // A cancel has replaced the fence while this was on its way.
          if (fence !== this.#fence) continue;
          this.leave(error.message);
          return new Promise<never>(() => undefined);
        }
        this.logger.warn("the platform could not take a report; it is sent again", {
          runId: this.runId,
          reason: error.reason,
        });
        await delay(error.retryAfterMs ?? backoff.next());
        if (this.#isGone) return new Promise<never>(() => undefined);
      }
    }
  }
}
