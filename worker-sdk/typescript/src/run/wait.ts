// Section W of docs/replay-machine.md.
/**
 * A wait that the server keeps: a sleep, a signal, a question, a child run. It is
 * registered by its StepStarted; what resolves it is pushed while the run is
 * held here, asked for where nothing is pushed, and else found in the journal
 * after the run was suspended and dispatched again. One whose branch has ended,
 * such as the loser of a race, is closed there, so that it takes no signal and no
 * answer; a signal that it had taken and the code was never given goes back.
 */
import { create, type MessageInitShape } from "@bufbuild/protobuf";
import {
  ParentRefSchema,
  StartRunRequestSchema,
  type StepKind,
  type StepStartedResponse,
  type StepStartedResponse_Replay,
  StepStartedResponse_Stop_Reason as StopReason,
  WaitOutcome,
  type WaitSpecSchema,
} from "@pawl/proto";
import { decode, type ReceivedPayload } from "../codec/payload.ts";
import { msFrom } from "../duration.ts";
import { NonDeterminismError, RequestError, TerminalError, WaitCancelledError } from "../errors.ts";
import { stepFailed } from "../failure.ts";
import { startTimer } from "../lib/delay.ts";
import { wordOf } from "../lib/words.ts";
import { limits } from "../limits.ts";
import type { AnyWorkflow } from "../workflow-types.ts";
import type { StartRunInit } from "./link.ts";
import { isHere, type MemoRecord } from "./memo.ts";
import { Operation } from "./operation.ts";
import { wholePayload } from "./payload-uploads.ts";
import type { Run } from "./run.ts";
import type { Scope } from "./scope.ts";

/** How a wait ended. */
export interface Resolution {
  readonly outcome: string;
  /** The decoded payload: a signal's, an answer, or a child run's result. */
  readonly value: unknown;
  readonly stepKey: string;
  /** Its place in the journal. */
  readonly seq: number;
  /** Who answered, why, and the like. */
  readonly details: Readonly<Record<string, string>>;
}

/** What the server says of a wait that it knows. */
export interface Registered {
  readonly waitId: string;
  readonly callbackUrl: string;
  readonly callbackToken: string;
}

/** What is waited for. */
export interface WaitCall {
  readonly name: string;
  readonly kind: StepKind;
  readonly wait: MessageInitShape<typeof WaitSpecSchema>;
  /** The child run to be started first. */
  readonly child?: {
    readonly workflow: AnyWorkflow | undefined;
    /** User code has chosen its run id. */
    readonly ownId: boolean;
    readonly request: () => Promise<StartRunInit>;
  };
  /** Makes user code's value from the resolution, or throws its error. */
  readonly finish: (resolution: Resolution) => unknown;
}

export class WaitOperation extends Operation {
  readonly #call: WaitCall;
  /** User code waits for it, so the run does. */
  #counts: boolean;
  #registered = false;
  #dueMs: number | undefined;
  #delivering = false;
  #childRunId = "";
  /** Settles once the server has answered what it was asked last. */
  #answered: Promise<void> | undefined;
  #endTimer: (() => void) | undefined;

  constructor(run: Run, scope: Scope, key: string, call: WaitCall, counts = true) {
    super(run, scope, key, call.name, call.kind);
    this.#call = call;
    this.#counts = counts;
  }

  /** Its result, which user code waits for from now on. */
  awaited(): Promise<unknown> {
    if (!this.#counts) {
      this.#counts = true;
      if (this.#registered) this.#count();
    }
    return this.promise;
  }

  override begin(): void {
    this.#answered = this.#register();
  }

  async #register(): Promise<void> {
    const { run } = this;
    run.setBusy(true);
    try {
      const childRunId = await this.#startChild();
      if (run.left) return;
      const response = await this.ask(childRunId);
      const { case: answer, value } = response.outcome;
      if (this.aborted !== undefined) this.#closeThere();
      run.setBusy(false);
      if (this.detached || run.left) return;
      if (answer === "wait" || answer === "replay") this.registered(value);
      this.#onStart(response);
      run.obey(response.directive);
    } catch (error) {
      if (!this.detached) this.refuse(error);
      run.setBusy(false);
    }
  }

  /** Registers the wait, or hears what has become of it. */
  protected ask(childRunId = ""): Promise<StepStartedResponse> {
    const { run } = this;
    const requestId = run.nextRequestId();
    return run.persist(() =>
      run.link.start({
        runId: run.runId,
        fence: run.fence,
        stepKey: this.key,
        name: this.name,
        kind: this.kind,
        requestId,
        wait: { ...this.#call.wait, ...(childRunId === "" ? {} : { childRunId }) },
      }),
    );
  }

  /** The server has it on record. */
  protected registered(_answer: Registered): void {
    // Only callbacks have something to learn from it.
  }

  async #startChild(): Promise<string> {
    const { child } = this.#call;
    if (child === undefined || this.#childRunId !== "") return this.#childRunId;
    const { run } = this;
    const request = create(StartRunRequestSchema, await child.request());
    request.parent = create(ParentRefSchema, { runId: run.runId, stepKey: this.key });
    try {
      const response = await run.persist(() => {
        request.parentFence = run.fence;
        return run.link.startRun(request, child.workflow);
      });
      this.#childRunId = response.run?.runId ?? "";
    } catch (error) {
      if (!(error instanceof RequestError) || error.reason !== "RUN_EXISTS") throw error;
      // An id that user code chose, and somebody else has.
      if (child.ownId && !run.memo.isOpenWait(this.key)) throw error;
      throw new NonDeterminismError({
        stepKey: this.key,
        recorded: `the child run ${request.runId}`,
        attempted: "a child run with another input or workflow",
        likelyCause: "the child's input is computed from something that is not recorded",
      });
    }
    return this.#childRunId;
  }

  #onStart({ outcome }: StepStartedResponse): void {
    // Its resolution was pushed before this answer came.
    if (this.isOver || this.#delivering) return;
    if (this.aborted !== undefined) {
      this.rejectCancelled(this.aborted);
      return;
    }
    switch (outcome.case) {
      case "replay": {
        this.#settleNow(outcome.value);
        break;
      }
      case "wait":
        this.#wait(outcome.value.until === undefined ? undefined : msFrom(outcome.value.until));
        break;
      case "conflict":
        void this.run.end(
          new NonDeterminismError({
            stepKey: this.key,
            recorded: outcome.value.recorded?.name ?? "something else",
            attempted: this.name,
            likelyCause: "the code was changed while this run was under way",
          }),
        );
        break;
      case "stop":
        this.run.stop(StopReason[outcome.value.reason] ?? "LEASE_LOST", outcome.value.fence, this);
        break;
      default:
        void this.run.end(
          new TerminalError("the platform answered a wait with nothing that this SDK knows"),
        );
        break;
    }
  }

  #wait(dueMs: number | undefined): void {
    this.#registered = true;
    this.#dueMs = dueMs;
    if (this.#counts) this.#count();
  }

  #count(): void {
    const dueMs = this.#dueMs;
    this.run.addWait(this.key, dueMs);
    if (this.run.link.pushesWaits) return;
    const untilDueMs = dueMs === undefined ? limits.hotWaitMs : dueMs - this.run.serverNow() + 5;
    this.#endTimer = startTimer(Math.min(Math.max(untilDueMs, 10), limits.hotWaitMs), () =>
      this.askAgain(),
    );
  }

  #unregister(): void {
    this.#endTimer?.();
    this.#endTimer = undefined;
    if (this.#registered) this.run.removeWait(this.key);
    this.#registered = false;
  }

  override askAgain(): void {
    if (!this.#registered) return;
    this.#unregister();
    this.run.admit(this, () => this.begin());
  }

  override resolved(record: MemoRecord): void {
    if (this.#delivering) return;
    this.#unregister();
    this.run.memo.take(this.key);
    this.#deliver(record);
  }

  #settleNow({ seq, result, outcome, details }: StepStartedResponse_Replay): void {
    this.#deliver({
      seq: seq || this.run.deliveries.lastSeq,
      kind: this.kind,
      attempt: this.run.memo.attempts(this.key),
      payload: result.case === "output" ? result.value : undefined,
      late: false,
      failure: result.case === "failure" ? result.value : undefined,
      outcome: wordOf(WaitOutcome, outcome),
      details,
      inputDigest: "",
      definitionDigest: "",
      childRunId: "",
    });
  }

  #deliver(record: MemoRecord): void {
    this.#delivering = true;
    if (isHere(record)) this.run.deliver(record.seq, () => this.replay(record), this);
    else this.run.deliverRecorded(record.seq, () => this.replay(record), this);
  }

  protected override replay(record: MemoRecord): void | Promise<void> {
    if (isHere(record)) {
      this.#finish(record, record.payload);
      return undefined;
    }
    return wholePayload(this.run, record)
      .then((whole) => this.#finish(record, whole))
      .catch((error: unknown) => this.run.end(error));
  }

  #finish(record: MemoRecord, payload: ReceivedPayload | undefined): void {
    if (record.failure !== undefined) {
      this.reject(stepFailed(record.failure, this.key, Math.max(1, record.attempt)));
      return;
    }
    const { outcome, details } = record;
    try {
      if (outcome === "cancelled") throw new WaitCancelledError(this.name, this.key, details);
      const value = decode(payload);
      this.resolve(
        this.#call.finish({ outcome, value, stepKey: this.key, seq: record.seq, details }),
      );
    } catch (error) {
      this.reject(error);
    }
  }

  /** What is on record and has not been handed out yet comes too late for a branch that has ended. */
  override abort(reason: string, patienceMs?: number): void {
    if (this.isAborted || this.isOver) return;
    if (this.isRecorded && this.scope.ended === undefined) return;
    super.abort(reason, patienceMs);
    const known = this.#registered || this.#delivering || this.run.memo.isClosable(this.key);
    this.#unregister();
    if (known) this.#closeThere();
    // What it is asked for may come to be on record yet, and is closed then.
    else if (this.#answered !== undefined) this.run.reports.expect(this.#answered);
    this.rejectCancelled(reason);
  }

  /** Where no branch has ended the run has, and all of its waits. */
  #closeThere(): void {
    if (this.scope.ended !== undefined) this.run.reports.closeWait(this.key);
  }

  override clear(): void {
    this.#unregister();
  }
}
