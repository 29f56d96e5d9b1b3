// Section T of docs/replay-machine.md.
/**
 * One step, from being asked for until its result has been handed to user code.
 *
 *   waiting ─▶ confirming ─▶ running ─▶ reporting ─▶ (delivered)
 *      ▲                                    │
 *      └──────────── backing off ◀──────────┘
 *
 * `confirming` only where the start must be committed before the body runs.
 */
import { create } from "@bufbuild/protobuf";
import {
  type Failure,
  FailureSchema,
  StepFailedResponse_Final_Action as FinalAction,
  type StepCompletedResponse,
  type StepFailedResponse,
  type StepStartedResponse,
  type StepStartedResponse_Replay,
  StepStartedResponse_Stop_Reason as StopReason,
} from "@pawl/proto";
import { decode, type Encoded, encode, type PayloadInit, payloadOf } from "../codec/payload.ts";
import { Cancelled, RequestError, StepFailedError, TerminalError } from "../errors.ts";
import { type FailureInit, plainFailure, stepFailed, toFailure } from "../failure.ts";
import { startTimer } from "../lib/delay.ts";
import { read } from "../lib/foreign.ts";
import { loopWatch } from "../lib/loop-watch.ts";
import { limits } from "../limits.ts";
import type { StepTrace } from "../telemetry/trace.ts";
import type { StepStartedInit } from "./link.ts";
import { isHere, type MemoRecord } from "./memo.ts";
import { Operation } from "./operation.ts";
import { isLarge, upload, wholePayload } from "./payload-uploads.ts";
import type { Scope } from "./scope.ts";
import { StepBody, type StepHost } from "./step-body.ts";
import {
  completedMessage,
  conflictError,
  failedMessage,
  retryDelayMs,
  sentPayload,
  startMessage,
  stepRecord,
  unknownAnswer,
  waitMs,
} from "./step-messages.ts";
import type { StepCall } from "./step-settings.ts";

type State =
  | { readonly is: "waiting" | "confirming" | "reporting" }
  | { readonly is: "running"; readonly body: StepBody }
  | { readonly is: "backing off"; readonly hot: boolean; readonly endTimer: () => void };

const waiting: State = { is: "waiting" };
const confirming: State = { is: "confirming" };
const reporting: State = { is: "reporting" };

export class StepOperation extends Operation {
  readonly host: StepHost;
  readonly call: StepCall;
  #attempt = 0;
  #state: State = waiting;
  #hasInner = false;
  /** Its run is being cancelled, so that its result is not recorded any more. */
  #isCancelled = false;
  #endPatience: (() => void) | undefined;
  /** Of the latest attempt. */
  #trace: StepTrace | undefined;

  constructor(host: StepHost, scope: Scope, key: string, call: StepCall) {
    super(host.run, scope, key, call.name, call.kind);
    this.host = host;
    this.call = call;
  }

  override get inputDigest(): string {
    return this.call.inputDigest;
  }

  override get definitionDigest(): string {
    return this.call.settings.definitionDigest;
  }

  override get isStep(): boolean {
    return true;
  }

  override get isRunning(): boolean {
    return this.#state.is === "running";
  }

  override get isRepeatable(): boolean {
    return !this.call.settings.atMostOnce;
  }

  /** The same for all attempts, and no other step's, also where a run id is used again. */
  get idempotencyKey(): string {
    const { runUid, runId } = this.run.facts;
    return `${runUid || runId}/${this.key}`;
  }

  /** A scope for the steps that the body asks for; a fresh one for each attempt. */
  innerScope(): Scope {
    this.#hasInner = true;
    return this.scope.childAt(this.key, true);
  }

  protected override replay(record: MemoRecord): void | Promise<void> {
    if (record.failure !== undefined) {
      this.reject(stepFailed(record.failure, this.key, record.attempt));
      return undefined;
    }
    if (!this.scope.insideStep) this.run.memo.forget(this.key);
    if (isHere(record)) {
      this.resolve(decode(record.payload));
      return undefined;
    }
    return wholePayload(this.run, record)
      .then((whole) => this.resolve(decode(whole)))
      .catch((error: unknown) => this.run.end(error));
  }

  override begin(): void {
    this.#attempt = this.run.memo.attempts(this.key) + 1;
    const backing = this.run.memo.backing(this.key);
    const backMs = backing === undefined ? 0 : backing.untilMs - this.run.serverNow();
    if (backMs > 0) this.#backOff(backMs);
    else this.#attemptNow();
  }

  #attemptNow(): void {
    this.run.setBusy(true);
    if (this.run.confirmsStarts || this.call.settings.atMostOnce) void this.#confirm();
    else this.#execute();
  }

  // ── before the body ──

  startMessage(): StepStartedInit {
    return startMessage(this.run, this.key, this.call);
  }

  async #confirm(): Promise<void> {
    this.#state = confirming;
    const requestId = this.run.nextRequestId();
    try {
      const response = await this.#askToStart(requestId);
      if (this.detached) this.run.setBusy(false);
      if (this.detached || this.run.left) return;
      this.#onStart(response);
      this.run.obey(response.directive);
    } catch (error) {
      this.#state = reporting;
      if (!this.detached) this.refuse(error);
      this.run.setBusy(false);
    }
  }

  /** An answer from before this process stood still may be out of date: the same again tells. */
  async #askToStart(requestId: string): Promise<StepStartedResponse> {
    for (;;) {
      const sentMs = performance.now();
      const response = await this.run.persist(() =>
        this.run.link.start({ ...this.startMessage(), requestId }),
      );
      if (!loopWatch.stoodStillSince(sentMs) || this.detached || this.run.left) return response;
    }
  }

  #onStart({ outcome }: StepStartedResponse): void {
    if (outcome.case === "execute") {
      this.#attempt = outcome.value.attempt;
      if (this.aborted === undefined) this.#execute();
      else this.#giveUp(this.aborted);
      return;
    }
    this.#state = waiting;
    this.run.setBusy(false);
    switch (outcome.case) {
      case "replay":
        this.#onReplay(outcome.value);
        break;
      case "wait":
        this.#backOff(waitMs(outcome.value, this.run.serverNow()));
        break;
      case "conflict":
        void this.run.end(conflictError(this.key, this.call, outcome.value));
        break;
      case "unknownOutcome":
        this.run.awaitDecision(this);
        break;
      case "stop":
        this.run.stop(StopReason[outcome.value.reason] ?? "LEASE_LOST", outcome.value.fence, this);
        break;
      default:
        void this.run.end(unknownAnswer());
        break;
    }
  }

  #onReplay({ seq, result }: StepStartedResponse_Replay): void {
    this.#state = reporting;
    const record = this.#recordOf(
      seq || this.run.deliveries.lastSeq,
      result.case === "output" ? result.value : undefined,
      result.case === "failure" ? result.value : undefined,
    );
    this.run.deliverRecorded(record.seq, () => this.replay(record), this);
  }

  #recordOf(seq: number, payload: MemoRecord["payload"], failure: Failure | undefined): MemoRecord {
    return stepRecord(this.call, { seq, attempt: this.#attempt, payload, failure });
  }

  #execute(): void {
    const body = new StepBody(this, this.#attempt);
    this.#trace = body.trace;
    this.#state = { is: "running", body };
    body.run();
  }

  // ── the body is over ──

  /** Called by the body, once. */
  bodyReturned(value: unknown, latencyMs: number): void {
    if (this.aborted !== undefined && this.#isCancelled) {
      this.#giveUp(this.aborted);
      return;
    }
    this.#state = reporting;
    let encoded: Encoded;
    try {
      encoded = encode(value, `the result of step "${this.name}"`);
    } catch (error) {
      this.#report(toFailure(error), latencyMs);
      return;
    }
    if (!isLarge(encoded)) {
      this.#complete(payloadOf(encoded), encoded, latencyMs);
      return;
    }
    this.run
      .persist(() => upload(this.run.link, encoded, `the result of step "${this.name}"`))
      .then(
        (payload) => this.#complete(payload, encoded, latencyMs),
        (error: unknown) => this.#report(toFailure(error), latencyMs),
      );
  }

  #complete(output: PayloadInit, encoded: Encoded, latencyMs: number): void {
    const { run } = this;
    run
      .persist(() => {
        // The cancel was first.
        if (this.#isCancelled) throw new Cancelled(this.aborted ?? "");
        return run.link.completed(
          completedMessage(run, this.key, this.call, this.#attempt, output, latencyMs, this.deltas),
        );
      })
      .then(
        (response) => this.#onCompleted(response, output, encoded),
        (error: unknown) => this.#onRefused(error, latencyMs),
      );
  }

  #onCompleted(response: StepCompletedResponse, output: PayloadInit, encoded: Encoded): void {
    const { run } = this;
    run.noteEnd();
    this.#trace?.end("completed");
    if (this.scope.insideStep) {
      // A new attempt of the step around it asks again.
      run.memo.remember(this.key, this.#recordOf(response.seq, sentPayload(output), undefined));
    }
    if (this.#hasInner) run.memo.forgetWithin(this.key);
    if (!this.detached) {
      run.deliver(response.seq, () => this.resolve(encoded.decoded()), this);
    }
    run.setBusy(false);
    run.obey(response.directive);
  }

  /** A result that is not taken fails its step; one that another attempt's stands against, its run. */
  #onRefused(error: unknown, latencyMs: number): void {
    if (this.#isCancelled && error instanceof Cancelled) {
      this.#giveUp(error.message);
      return;
    }
    if (isRefusal(error)) {
      this.#report(toFailure(new TerminalError(error.message, { cause: error })), latencyMs);
    } else {
      void this.run.end(error);
    }
  }

  /** Called by the body, once. */
  bodyFailed(error: unknown, latencyMs: number): void {
    if (this.aborted !== undefined) {
      this.#giveUp(this.aborted);
      return;
    }
    const failure = toFailure(error);
    // A step inside has failed for good: trying this one again would only replay that.
    const isInner =
      error instanceof StepFailedError && String(read(error, "stepKey")).startsWith(`${this.key}/`);
    if (isInner || error instanceof Cancelled) failure.nonRetryable = true;
    this.#report(failure, latencyMs);
  }

  /** Stopped before there was anything to record but that. */
  #giveUp(reason: string): void {
    this.#state = reporting;
    this.#endPatience?.();
    this.#trace?.end("cancelled");
    this.#reportCancelled(reason);
    this.rejectCancelled(reason);
    this.run.setBusy(false);
  }

  /** Ends the attempt in the journal, which is not a failure: asked for again, the step is executed anew. */
  #reportCancelled(reason: string): void {
    const { run, key, call, deltas } = this;
    const attempt = this.#attempt;
    run.memo.noteAttempt(key, attempt);
    const failure = { type: "Cancelled", message: reason };
    run.reports.send("a step was stopped", () => {
      const message = failedMessage(run, key, call, attempt, failure, 0, deltas);
      return run.link.failed({ ...message, cancelled: true });
    });
  }

  #report(failure: FailureInit, latencyMs: number): void {
    const { run, key, call, deltas } = this;
    this.#state = reporting;
    run
      .persist(() =>
        run.link.failed(failedMessage(run, key, call, this.#attempt, failure, latencyMs, deltas)),
      )
      .then(
        (response) => this.#onFailed(response, create(FailureSchema, failure)),
        (error: unknown) => this.#onFailureRefused(error, failure, latencyMs),
      );
  }

  /** What an error carries is not taken: its type and text are, or the code gets the refusal itself. */
  #onFailureRefused(error: unknown, failure: FailureInit, latencyMs: number): void {
    const plain = plainFailure(failure);
    const refused = isRefusal(error);
    if (refused && failure.stack !== undefined) this.#report(plain, latencyMs);
    else if (refused) {
      if (!this.detached) this.refuse(error);
      this.run.setBusy(false);
    } else void this.run.end(error);
  }

  #onFailed({ next, seq, directive }: StepFailedResponse, failure: Failure): void {
    const { run } = this;
    const attempt = this.#attempt;
    run.noteEnd();
    run.memo.noteAttempt(this.key, attempt);
    this.#trace?.end(next.case === "retry" ? "retrying" : "failed", failure.type);
    if (next.case === "retry") {
      this.#attempt = next.value.attempt || attempt + 1;
      run.setBusy(false);
      if (this.aborted !== undefined) this.rejectCancelled(this.aborted);
      else if (!this.detached) this.#backOff(retryDelayMs(next.value, run.serverNow()));
    } else if (next.value?.action === FinalAction.PAUSE) {
      run.leave(`step "${this.name}" has no attempt left, and the run is paused`);
    } else {
      if (this.scope.insideStep)
        run.memo.remember(this.key, this.#recordOf(seq, undefined, failure));
      if (!this.detached)
        run.deliver(seq, () => this.reject(stepFailed(failure, this.key, attempt)), this);
      run.setBusy(false);
    }
    run.obey(directive);
  }

  /** Waits for the next attempt: here if it is soon, else the run may be suspended meanwhile. */
  #backOff(ms: number): void {
    const hot = ms <= limits.hotRetryMs;
    if (hot) this.run.setBusy(true);
    else this.run.addWait(this.key, this.run.serverNow() + ms);
    const endTimer = startTimer(ms, () => {
      this.#leaveBackOff(hot);
      this.run.admit(this, () => this.#attemptNow());
    });
    this.#state = { is: "backing off", hot, endTimer };
  }

  #leaveBackOff(hot: boolean): void {
    this.#state = waiting;
    if (hot) this.run.setBusy(false);
    else this.run.removeWait(this.key);
  }

  #endBackOff(): void {
    if (this.#state.is !== "backing off") return;
    this.#state.endTimer();
    this.#leaveBackOff(this.#state.hot);
  }

  // ── being ended ──

  override abort(reason: string, patienceMs?: number): void {
    if (patienceMs !== undefined && !this.isRecorded) this.#cancel(patienceMs);
    if (this.isAborted) return;
    super.abort(reason);
    const { is } = this.#state;
    if (this.isRecorded || (is !== "waiting" && is !== "backing off")) return;
    this.#endBackOff();
    this.rejectCancelled(reason);
  }

  /** The run is being cancelled: a body that does not stop by itself is left to itself. */
  #cancel(patienceMs: number): void {
    this.#isCancelled = true;
    if (this.isRunning) this.#endPatience ??= startTimer(patienceMs, () => this.abandon());
  }

  override abandon(): void {
    if (this.#state.is !== "running") return;
    this.#state.body.abandon();
    this.#giveUp(this.aborted ?? "the workflow has ended");
  }

  override clear(): void {
    const state = this.#state;
    this.#endBackOff();
    this.#endPatience?.();
    if (state.is === "running") {
      state.body.end();
      if (this.detached && !this.run.left) this.#reportCancelled("the step around it is over");
      // Where the lease was lost, the worker that continues reports it.
      if (this.detached || this.run.facts.trace?.ended) this.#trace?.end("abandoned");
      this.run.setBusy(false);
    }
    this.#state = reporting;
  }
}

/** The report is not taken for what it holds; else another attempt's stands against it. */
function isRefusal(error: unknown): error is RequestError {
  const conflicts = ["COMMIT_CONFLICT", "STEP_INPUT_MISMATCH"];
  return error instanceof RequestError && !conflicts.includes(error.reason);
}
