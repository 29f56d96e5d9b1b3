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
 * catches or cleans up can act for a run that is not its own. Section R of docs/replay-machine.md.
 */

import { Directive, type JournalEntry, type SuspendRunResponse, type WaitTree } from "@pawl/proto";
import { NonDeterminismError } from "../errors.ts";
import type { Logger } from "../lib/logger.ts";
import { limits } from "../limits.ts";
import { AbortSignals } from "./abort-signals.ts";
import { CatchUp } from "./catch-up.ts";
import { Deliveries } from "./deliveries.ts";
import type { RunFacts, RunParts } from "./facts.ts";
import type { RunLink } from "./link.ts";
import { type Memo, recordOf } from "./memo.ts";
import { failRun } from "./outcome.ts";
import type { Pending } from "./pending.ts";
import { persist } from "./persist.ts";
import { Reports } from "./reports.ts";
import { Restarts } from "./restarts.ts";
import { Scope } from "./scope.ts";
import { waitTree } from "./wait-tree.ts";
import { Waiting } from "./waiting.ts";

/** A step that may not start now. */
type Held = { readonly operation: Pending; readonly begin: () => void };

/** What a suspension reports the run's waits. */
interface Waited {
  readonly tree?: WaitTree;
  readonly held: { readonly stepKeys: string[] };
  readonly unconsumedStepKeys: string[];
}

type RunState = "running" | "suspending" | "ending" | "left";

export class Run {
  readonly facts: RunFacts;
  readonly link: RunLink;
  readonly memo: Memo;
  readonly logger: Logger;
  readonly deliveries = new Deliveries();
  readonly root: Scope;
  readonly reports = new Reports(this);
  /** Everything that user code has asked for and not yet been given. */
  readonly operations = new Set<Pending>();
  readonly catchUp: CatchUp;
  /** It has left without the platform's knowledge: it has to be given back. */
  gaveUp = false;
  /** How many events the code has sent outside of steps, from its beginning, replays included. */
  said = 0;
  /** A step may have taken the last worker down: each start is confirmed before its step runs. */
  #careful: boolean;
  #fence: number;
  #state: RunState = "running";
  #requests = 0;
  readonly #waiting: Waiting;
  readonly #signals = new AbortSignals();
  readonly #restarts: Restarts | undefined;
  #held: Held[] = [];
  /** A record that everything else has to wait for. */
  #first: Promise<void> | undefined;
  #paused = false;
  #cancelReason: string | undefined;
  #cancelDelivered = false;

  constructor({ facts, link, memo, logger, again }: RunParts) {
    this.facts = facts;
    this.link = link;
    this.memo = memo;
    this.logger = logger;
    this.#fence = facts.fence;
    this.#careful = facts.careful;
    this.#waiting = new Waiting(
      (busy, waits) => this.#mayBeQuiet(busy, waits),
      () => this.#giveBack(),
      () => this.serverNow(),
    );
    this.catchUp = new CatchUp(this);
    this.root = new Scope(this.deliveries, undefined, "", false);
    if (facts.cancelling) this.#cancelReason = memo.cancelReason || "the run was cancelled";
    if (memo.size > 0) this.deliveries.beginReplay();
    if (again === undefined) return;
    this.#restarts = new Restarts(
      () =>
        this.#state === "running" &&
        !this.#paused &&
        this.#cancelReason === undefined &&
        !this.#waiting.isBusy,
      () => this.#startAgain(again),
    );
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

  /** In ms since the epoch, by the server's clock: what due times are compared with. */
  serverNow(): number {
    return Date.now() + this.facts.clockAheadMs;
  }

  /** An id for a start, the same however often it is sent. */
  nextRequestId(): string {
    this.#requests += 1;
    const { attempt, execution } = this.facts;
    const again = execution === 1 ? "" : `.${execution}`;
    return `${this.#fence}-${attempt}${again}-${this.#requests}`;
  }

  /** It has left this worker, with nothing more to report. */
  get isGone(): boolean {
    return this.#state === "left";
  }

  /** Whether a step may only run once the platform has its start on record. */
  get confirmsStarts(): boolean {
    return this.link.confirmStarts || this.facts.confirmStarts || this.#careful;
  }

  /** The end of a step or wait is on record: what took a worker down is behind this run. */
  noteEnd(): void {
    this.#careful = false;
  }

  // ── starting operations ──

  /** A new operation without a record. */
  arrive(operation: Pending): void {
    if (this.left) return;
    const ended = operation.scope.ended;
    if (ended !== undefined) operation.abort(ended);
    else if (this.deliveries.replaying)
      this.deliveries.park(() => this.admit(operation, () => operation.begin()));
    else this.admit(operation, () => operation.begin());
  }

  /** Lets an operation begin, now or once it may. */
  admit(operation: Pending, begin: () => void): void {
    if (this.left || operation.isAborted || !this.operations.has(operation)) return;
    const ended = operation.scope.ended;
    if (ended !== undefined) {
      operation.abort(ended);
    } else if (this.#isInterrupted && !operation.scope.isShielded) {
      operation.abort(this.#cancelReason ?? "");
    } else if (!this.#mayStart(operation)) {
      this.#held.push({ operation, begin });
      this.#waiting.check();
    } else {
      this.#waiting.noteActivity();
      begin();
    }
  }

  /** A pause lets what is in flight finish, and what that asks for inside. */
  #mayStart({ scope }: Pending): boolean {
    const isHeldBack = this.#paused && !scope.insideStep;
    return this.#state !== "suspending" && !isHeldBack && this.link.canStart();
  }

  /** Cancelled, and user code has yet to hear of it. */
  get #isInterrupted(): boolean {
    return this.#cancelReason !== undefined && !this.#cancelDelivered;
  }

  /** Why it is being cancelled, if it is. */
  get cancelReason(): string | undefined {
    return this.#cancelReason;
  }

  /** Keeps an operation until starts are allowed again. */
  hold(operation: Pending): void {
    this.#held.push({ operation, begin: () => operation.begin() });
  }

  /**
   * Whether a step took effect is for a person to say: the platform pauses the run. One that is
   * being cancelled continues without knowing.
   */
  awaitDecision(operation: Pending): void {
    if (this.#cancelReason !== undefined) {
      operation.rejectCancelled(this.#cancelReason);
    } else {
      this.hold(operation);
      this.pause();
    }
  }

  /** The platform is in reach again, or starts are allowed again. */
  wake(): void {
    if (this.#held.length === 0 || this.#state !== "running") return;
    const held = this.#held;
    this.#held = [];
    for (const { operation, begin } of held) this.admit(operation, begin);
  }

  /** An operation has something to do here (`true`), or only waits. */
  setBusy(busy: boolean): void {
    this.#waiting.setBusy(busy);
  }

  /** Delivers what has just happened to an operation; `of`: which one, if it is on record. */
  deliver(seq: number, deliver: () => void, of?: Pending): void {
    const mayRestart = of?.scope.insideStep === false && this.#cancelReason === undefined;
    if (this.#restarts !== undefined && mayRestart) {
      this.#restarts.withhold(() => this.deliveries.push(seq, deliver, false));
      return;
    }
    const push = () => this.deliveries.push(seq, deliver, this.operations.size === 1);
    if (of === undefined) push();
    else this.catchUp.inOrder(of, seq, push);
  }

  /** As `deliver`, where it may take time, or was recorded before it was asked for. */
  deliverRecorded(seq: number, deliver: () => void | Promise<void>, of: Pending): void {
    this.catchUp.inOrder(of, seq, () => this.deliveries.pushRecorded(seq, deliver));
  }

  // ── waiting ──

  /** An operation waits for the server; `dueMs` since the epoch, where it is known. */
  addWait(key: string, dueMs: number | undefined): void {
    this.#waiting.add(key, dueMs);
  }

  removeWait(key: string): void {
    this.#waiting.remove(key);
  }

  /** The server resolved a wait of this run while it is held here. */
  waitResolved(entry: JournalEntry): void {
    if (this.left) return;
    this.noteEnd();
    this.memo.add([entry]);
    // Also where the code has stopped waiting for it meanwhile.
    this.memo.take(entry.stepKey);
    const record = recordOf(entry);
    for (const operation of this.operations) {
      if (operation.key !== entry.stepKey) continue;
      operation.resolved(record);
      return;
    }
  }

  #mayBeQuiet(busy: number, waits: number): boolean {
    if (this.#state !== "running" || this.#cancelReason !== undefined) return false;
    if (this.#paused) return busy === this.#waiting.bodiesThatWait(this.operations);
    return busy === 0 && waits > 0 && this.#held.length === 0 && this.link.suspends;
  }

  #giveBack(): void {
    if (this.#paused || this.#waiting.isWorthwhile) void this.#suspend();
  }

  async #suspend(): Promise<void> {
    this.#state = "suspending";
    const over: Waited | undefined = this.#paused ? undefined : this.#waitingFor();
    let response: SuspendRunResponse;
    try {
      response = await this.persist(() =>
        this.link.suspend({ runId: this.runId, fence: this.#fence, ...over }),
      );
    } catch (error) {
      return this.end(error);
    }
    if (this.#state !== "suspending") return;
    if (!response.resumed) return this.leave("suspended", true);
    this.#state = "running";
    if (response.directive !== Directive.PAUSE) this.#paused = false;
    for (const entry of response.resolved) this.waitResolved(entry);
    const answered = new Set(response.resolved.map((entry) => entry.stepKey));
    for (const operation of [...this.operations]) {
      if (this.#waiting.has(operation.key) && !answered.has(operation.key)) operation.askAgain();
    }
    this.obey(response.directive);
    this.wake();
  }

  /** What is waited for, and all the waits that the code holds. */
  #waitingFor(): Waited {
    const tree = waitTree(this.operations, (key) => this.#waiting.has(key));
    const waits = [...this.operations].filter(({ isStep }) => !isStep);
    const held = { stepKeys: waits.map(({ key }) => key) };
    const passedOver = this.facts.confirmStarts ? this.memo.unconsumed(limits.reportedKeysMax) : [];
    const over = { held, unconsumedStepKeys: passedOver };
    return tree === undefined ? over : { ...over, tree };
  }

  // ── what the platform wants ──

  obey(directive: Directive): void {
    if (directive <= Directive.CONTINUE) return;
    if (directive === Directive.PAUSE) this.pause();
    else if (directive === Directive.YIELD) this.leave("the platform took the run back");
    // DIRECTIVE_CANCEL announces the new fence, which comes with Cancel or the next heartbeat.
    else void this.link.attention(this.runId);
  }

  /** The answer to a start: neither this nor another step is to run. */
  stop(reason: string, fence: number, operation: Pending): void {
    if (reason === "RUN_CANCELLED") {
      this.cancel(fence, "");
    } else if (reason === "RUN_PAUSED") {
      this.hold(operation);
      this.pause();
    } else {
      this.leave(reason);
    }
  }

  /** No step starts outside of those in flight; once these are recorded, the run is given back. */
  pause(): void {
    if (this.#paused || this.left) return;
    this.#paused = true;
    this.#waiting.check();
  }

  /**
   * Cancels: aborts what is in flight and lets the code clean up under the new fence. `graceMs`: how
   * long the platform gives it for that.
   */
  cancel(fence: number, reason: string, graceMs: number = limits.cancelGraceMs): void {
    if (this.#state === "left") return;
    if (fence !== 0) this.#fence = fence;
    if (this.#cancelReason !== undefined) return;
    this.#cancelReason = reason || "the run was cancelled";
    if (this.#state === "ending") return;
    this.#paused = false;
    const patienceMs = Math.min(graceMs / 4, limits.cancelPatienceMs);
    this.#abort(this.root, this.#cancelReason, patienceMs);
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

  #abort(scope: Scope, reason: string, patienceMs?: number): void {
    this.#signals.abortWithin(scope, reason);
    this.#held = this.#held.filter(({ operation }) => !operation.scope.isReachedBy(scope));
    for (const operation of [...this.operations]) {
      if (operation.scope.isReachedBy(scope)) operation.abort(reason, patienceMs);
    }
  }

  /**
   * The code has returned: waits for the steps that nobody awaited, since they have been started, and
   * throws the error of one that fails. Those whose branch has ended have ended now.
   */
  async finish(): Promise<void> {
    for (;;) {
      const steps = [...this.operations].filter(({ isStep }) => isStep);
      const awaited = steps.filter(({ isAborted }) => !isAborted);
      for (const step of steps) if (step.isAborted) step.abandon();
      if (awaited.length === 0) return;
      await Promise.all(awaited.map(({ promise }) => promise));
    }
  }

  /**
   * The code has thrown: ends what it left behind. `patient`: waits until that has ended, so that
   * nothing is undone beside its being done. Branches of a run that is being cancelled continue with
   * their clean-up first.
   */
  async settle(reason: string, patient: boolean): Promise<void> {
    while (this.#cancelReason !== undefined) {
      const going = [...this.operations].filter(({ isAborted, isStep }) => isStep && !isAborted);
      if (going.length === 0) break;
      await Promise.allSettled(going.map(({ promise }) => promise));
    }
    this.endScope(this.root, reason);
    if (!patient) for (const operation of [...this.operations]) operation.abandon();
    await Promise.allSettled([...this.operations].map(({ promise }) => promise));
  }

  /** The body of a step is over: what it left behind concerns nobody any more. */
  closeStepScope(scope: Scope, reason: string): void {
    scope.end(reason);
    this.#signals.close(scope, reason);
    for (const operation of [...this.operations]) {
      if (!operation.scope.isWithin(scope)) continue;
      operation.abort(reason);
      operation.detach();
    }
  }

  abortSignal(scope: Scope): AbortSignal {
    return this.#signals.of(scope, scope === this.root ? this.#cancelReason : undefined);
  }

  // ── the end ──

  /** An outcome is being reported (`true`), or none was to be reported after all. */
  setEnding(ending: boolean): void {
    if (this.#state !== "left") this.#state = ending ? "ending" : "running";
  }

  /** Ends the run with an error: failed, cancelled, or paused where code and journal disagree. */
  end(error: unknown): Promise<void> {
    return failRun(this, error);
  }

  /**
   * The run is no longer this worker's: aborts what runs, and settles nothing any more. A
   * suspension aborts bodies alone: elsewhere a signal would run `catch` and `finally` blocks.
   */
  leave(why: string, suspended = false): void {
    if (this.#state === "left") return;
    this.#state = "left";
    this.logger.debug("a run left this worker", { runId: this.runId, why });
    this.#waiting.stop();
    this.#signals.abortAll(why, suspended);
    this.#forgetAll();
    this.link.released(this);
  }

  /** Executes the run anew, unless this execution did not ask for what the ones before it had recorded. */
  #startAgain(again: (before: RunFacts) => void): void {
    const [stepKey] = this.memo.unconsumed(1, this.facts.ownAfterSeq);
    if (stepKey === undefined) {
      this.#forgetAll();
      again(this.facts);
      return;
    }
    const error = new NonDeterminismError({
      stepKey,
      recorded: "a step of the execution before this one",
      attempted: "other steps, and not for that one",
      likelyCause:
        "the code depends on something that is not recorded, such as time, random numbers or outside state",
    });
    void this.end(error);
  }

  /** Nothing of this execution is heard of any more. */
  #forgetAll(): void {
    this.#state = "left";
    this.#waiting.stop();
    for (const operation of this.operations) operation.clear();
    this.operations.clear();
    this.#held = [];
  }

  /** Asks the platform what it wants with this run. */
  recheck(): Promise<boolean> {
    return this.link.attention(this.runId);
  }

  /** Sends until the platform has answered; never settles once the run is gone. */
  persist<T>(send: () => Promise<T>): Promise<T> {
    const first = this.#first;
    return first === undefined ? persist(this, send) : first.then(() => persist(this, send));
  }

  /** Sends a record ahead of all that follow: those wait until it is on record. */
  recordFirst(send: () => Promise<void>): void {
    const before = this.#first ?? Promise.resolve();
    const first = before
      .then(() => persist(this, send))
      .catch((error: unknown) => {
        this.#first = undefined;
        return this.end(error);
      })
      .then(() => {
        if (this.#first === first) this.#first = undefined;
      });
    this.#first = first;
  }
}
