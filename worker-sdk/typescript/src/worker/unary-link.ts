/** The platform by plain calls: for workers that poll, and for programs that execute their own run. */
import { create } from "@bufbuild/protobuf";
import {
  type CompleteRunResponse,
  EventService,
  type FailRunResponse,
  PublishEventsRequestSchema,
  RunService,
  SignalService,
  type StartRunResponse,
  type StepCompletedResponse,
  type StepFailedResponse,
  StepService,
  type StepStartedResponse,
  type SuspendRunResponse,
  WorkerService,
} from "@pawl/proto";
import type { ReceivedPayload } from "../codec/payload.ts";
import type { Logger } from "../lib/logger.ts";
import type {
  CancelWaitInit,
  CompleteRunInit,
  FailRunInit,
  NewEventInit,
  RunLink,
  StartRunInit,
  StepCompletedInit,
  StepFailedInit,
  StepStartedInit,
  SuspendRunInit,
} from "../run/link.ts";
import type { Run } from "../run/run.ts";
import type { Platform } from "../transport/platform.ts";
import { isTransient } from "../transport/status.ts";
import { type DeltaBatch, Deltas } from "./deltas.ts";

export interface UnaryLinkOptions {
  readonly platform: Platform;
  readonly logger: Logger;
  /** Whether runs may be given back while they wait. */
  readonly suspends: boolean;
  readonly onReleased: (run: Run) => void;
  readonly onAttention: () => Promise<boolean>;
}

function ignore(): void {
  // The call itself tells its caller.
}

export class UnaryLink implements RunLink {
  readonly confirmStarts = true;
  readonly pushesWaits = false;
  readonly suspends: boolean;
  readonly #options: UnaryLinkOptions;
  readonly #deltas: Deltas;
  readonly #reports = new Map<string, Set<Promise<unknown>>>();
  #publishing = false;

  constructor(options: UnaryLinkOptions) {
    this.#options = options;
    this.suspends = options.suspends;
    this.#deltas = new Deltas(
      (batch) => this.#publish(batch),
      (count) =>
        options.logger.warn("live output was dropped: the server does not keep up", {
          events: count,
        }),
    );
  }

  /** A start is confirmed by the server before its step runs, so it may be asked for at any time. */
  canStart(): boolean {
    return true;
  }

  noteStart(): void {
    // The start has been confirmed already.
  }

  start(request: StepStartedInit): Promise<StepStartedResponse> {
    return this.#options.platform.call(StepService.method.stepStarted, request);
  }

  completed(request: StepCompletedInit): Promise<StepCompletedResponse> {
    return this.#inOrder(request.runId ?? "", () =>
      this.#options.platform.call(StepService.method.stepCompleted, request),
    );
  }

  failed(request: StepFailedInit): Promise<StepFailedResponse> {
    return this.#inOrder(request.runId ?? "", () =>
      this.#options.platform.call(StepService.method.stepFailed, request),
    );
  }

  /**
   * Answers of separate calls may overtake one another, and user code is to see
   * them in the order of the journal: so an answer waits for those that are still
   * out for the same run, any of which may have been recorded before it.
   */
  async #inOrder<T>(runId: string, send: () => Promise<T>): Promise<T> {
    const out = this.#reports.get(runId) ?? new Set<Promise<unknown>>();
    this.#reports.set(runId, out);
    const call = send();
    const settled = call.then(ignore, ignore);
    out.add(settled);
    try {
      return await call;
    } finally {
      out.delete(settled);
      if (out.size > 0) await Promise.all(out);
      else this.#reports.delete(runId);
    }
  }

  suspend(request: SuspendRunInit): Promise<SuspendRunResponse> {
    return this.#options.platform.call(WorkerService.method.suspendRun, request);
  }

  cancelWait(request: CancelWaitInit): Promise<unknown> {
    return this.#options.platform.call(SignalService.method.cancelWait, request);
  }

  complete(request: CompleteRunInit): Promise<CompleteRunResponse> {
    this.#deltas.flush(request.runId);
    return this.#options.platform.call(WorkerService.method.completeRun, request);
  }

  fail(request: FailRunInit): Promise<FailRunResponse> {
    this.#deltas.flush(request.runId);
    return this.#options.platform.call(WorkerService.method.failRun, request);
  }

  flush(runId: string): void {
    this.#deltas.flush(runId);
  }

  publish(runId: string, fence: number, event: NewEventInit, bytes: number): void {
    this.#deltas.add(runId, fence, event, bytes);
  }

  #publish({ runId, fence, events }: DeltaBatch): boolean {
    if (this.#publishing) return false;
    this.#publishing = true;
    const request = create(PublishEventsRequestSchema, { runId, fence, events });
    this.#options.platform.transport
      .clientStream(EventService.method.publishEvents, [request], { timeoutMs: 5_000 })
      .catch((error: unknown) => {
        // Live output is worth no second try.
        if (!isTransient(error))
          this.#options.logger.debug("live output was refused", { error: String(error) });
      })
      .finally(() => {
        this.#publishing = false;
      });
    return true;
  }

  startRun(request: StartRunInit): Promise<StartRunResponse> {
    return this.#options.platform.call(RunService.method.startRun, request);
  }

  download(payload: ReceivedPayload): Promise<ReceivedPayload> {
    return this.#options.platform.download(payload);
  }

  upload(data: Uint8Array): Promise<{ sha256: string; size: number }> {
    return this.#options.platform.upload(data);
  }

  attention(): Promise<boolean> {
    return this.#options.onAttention();
  }

  released(run: Run): void {
    this.#options.onReleased(run);
  }

  close(): void {
    this.#deltas.flush();
    this.#deltas.close();
  }
}
