/**
 * A wait that the server keeps: a sleep, a signal or a child run. It is
 * registered by its StepStarted; what resolves it is pushed while the run is
 * held here, asked for where nothing is pushed, and else found in the journal
 * after the run was suspended and dispatched again.
 */
import { create, type MessageInitShape } from "@bufbuild/protobuf";
import {
  type Failure,
  ParentRefSchema,
  StartRunRequestSchema,
  type StepKind,
  type StepStartedResponse,
  type WaitSpecSchema,
} from "@pawl/proto";
import { decode, type ReceivedPayload } from "../codec/payload.ts";
import { msFrom } from "../duration.ts";
import { NonDeterminismError, PawlError, TerminalError } from "../errors.ts";
import { stepFailed } from "../failure.ts";
import { startTimer } from "../lib/delay.ts";
import { limits } from "../limits.ts";
import type { AnyWorkflow } from "../workflow.ts";
import type { StartRunInit } from "./link.ts";
import type { MemoRecord } from "./memo.ts";
import { Operation } from "./operation.ts";
import type { Run } from "./run.ts";
import type { Scope } from "./scope.ts";

/** How a wait ended. */
export interface Resolution {
  readonly outcome: string;
  /** The decoded payload: a signal's, or a child run's result. */
  readonly value: unknown;
}

/** What is waited for. */
export interface WaitCall {
  readonly name: string;
  readonly kind: StepKind;
  readonly wait: MessageInitShape<typeof WaitSpecSchema>;
  /** The child run to be started first. */
  readonly child?: {
    readonly workflow: AnyWorkflow | undefined;
    readonly request: (attempt: number) => Promise<StartRunInit>;
  };
  /** Makes user code's value from the resolution, or throws its error. */
  readonly finish: (resolution: Resolution) => unknown;
}

export class WaitOperation extends Operation {
  readonly #call: WaitCall;
  #registered = false;
  #delivering = false;
  #childRunId = "";
  #endTimer: (() => void) | undefined;

  constructor(run: Run, scope: Scope, key: string, call: WaitCall) {
    super(run, scope, key, call.name, call.kind);
    this.#call = call;
  }

  override begin(): void {
    void this.#register();
  }

  async #register(): Promise<void> {
    const { run } = this;
    run.setBusy(true);
    try {
      const childRunId = await this.#startChild();
      if (run.left) return;
      const requestId = run.nextRequestId();
      const response = await run.persist(() =>
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
      run.setBusy(false);
      if (this.detached || run.left) return;
      this.#onStart(response);
      run.obey(response.directive);
    } catch (error) {
      // An input that is refused before anything was started is for user code to know.
      const own = error instanceof TerminalError && !(error instanceof NonDeterminismError);
      if (own) run.deliver(run.deliveries.lastSeq, () => this.reject(error));
      run.setBusy(false);
      if (!own) void run.end(error);
    }
  }

  async #startChild(): Promise<string> {
    const { child } = this.#call;
    if (child === undefined || this.#childRunId !== "") return this.#childRunId;
    const { run } = this;
    const request = create(
      StartRunRequestSchema,
      await child.request(run.memo.waitAttempt(this.key)),
    );
    request.parent = create(ParentRefSchema, { runId: run.runId, stepKey: this.key });
    try {
      const response = await run.persist(() => {
        request.parentFence = run.fence;
        return run.link.startRun(request, child.workflow);
      });
      this.#childRunId = response.run?.runId ?? "";
    } catch (error) {
      if (!(error instanceof PawlError) || error.reason !== "RUN_EXISTS") throw error;
      throw new NonDeterminismError({
        stepKey: this.key,
        recorded: `the child run ${request.runId}`,
        attempted: "a child run with another input or workflow",
        likelyCause:
          "the child's input is computed from something that is not recorded, or its run id is taken",
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
        const { result, outcome: how } = outcome.value;
        this.#settleNow(
          how,
          result.case === "output" ? result.value : undefined,
          result.case === "failure" ? result.value : undefined,
        );
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
        this.run.stop(outcome.value.reason, outcome.value.fence, this);
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
    this.run.addWait(this.key, dueMs);
    if (this.run.link.pushesWaits) return;
    const untilDueMs = dueMs === undefined ? limits.hotWaitMs : dueMs - Date.now() + 5;
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
    this.run.admit(this, () => void this.#register());
  }

  override resolved(record: MemoRecord): void {
    if (this.#delivering) return;
    this.#unregister();
    this.run.memo.take(this.key);
    this.#deliver(record);
  }

  #settleNow(
    outcome: string,
    payload: ReceivedPayload | undefined,
    failure: Failure | undefined,
  ): void {
    this.#deliver({
      seq: this.run.deliveries.lastSeq,
      kind: this.kind,
      attempt: this.run.memo.attempts(this.key),
      payload,
      failure,
      outcome,
      inputDigest: "",
      definitionDigest: "",
      childRunId: "",
    });
  }

  #deliver(record: MemoRecord): void {
    this.#delivering = true;
    if (record.payload?.ref === undefined) this.run.deliver(record.seq, () => this.replay(record));
    else this.run.deliveries.pushRecorded(record.seq, () => this.replay(record));
  }

  protected override replay(record: MemoRecord): void | Promise<void> {
    const { payload } = record;
    if (payload?.ref === undefined) {
      this.#finish(record, payload);
      return undefined;
    }
    return this.run
      .persist(() => this.run.link.download(payload))
      .then((whole) => this.#finish(record, whole))
      .catch((error: unknown) => this.run.end(error));
  }

  #finish(record: MemoRecord, payload: ReceivedPayload | undefined): void {
    if (record.failure !== undefined) {
      this.reject(stepFailed(record.failure, this.key, Math.max(1, record.attempt)));
      return;
    }
    try {
      this.resolve(this.#call.finish({ outcome: record.outcome, value: decode(payload) }));
    } catch (error) {
      this.reject(error);
    }
  }

  override abort(reason: string): void {
    if (this.isAborted) return;
    super.abort(reason);
    if (this.isRecorded) return;
    this.#unregister();
    this.rejectCancelled(reason);
  }

  override clear(): void {
    this.#unregister();
  }
}
