/** The platform by plain calls: for workers that poll, and for programs that execute their own run. */
import { create } from "@bufbuild/protobuf";
import {
  type CompleteRunResponse,
  EventService,
  type FailRunResponse,
  PublishEventsRequestSchema,
  RunService,
  type StartRunResponse,
  type StepCompletedResponse,
  type StepFailedResponse,
  StepService,
  type StepStartedResponse,
  type SuspendRunResponse,
  WorkerService,
} from "@pawl/proto";
import type { ReceivedPayload } from "../codec/payload.ts";
import { RequestError } from "../errors.ts";
import { Backoff, delay } from "../lib/delay.ts";
import type { Logger } from "../lib/logger.ts";
import type {
  BeginCleanUpInit,
  CloseWaitsInit,
  CompleteRunInit,
  FailRunInit,
  LeftRun,
  NewEventInit,
  RunLink,
  StartRunInit,
  StepCompletedInit,
  StepFailedInit,
  StepStartedInit,
  SuspendRunInit,
} from "../run/link.ts";
import type { Platform } from "../transport/platform.ts";
import { isTransient } from "../transport/status.ts";
import { type DeltaBatch, Deltas } from "./deltas.ts";

export interface UnaryLinkOptions {
  readonly platform: Platform;
  readonly logger: Logger;
  /** Whether runs may be given back while they wait. */
  readonly suspends: boolean;
  readonly onReleased: (run: LeftRun) => void;
  readonly onAttention: () => Promise<boolean>;
}

/** How often live output is sent in vain before it is given up, while other calls are answered. */
const PUBLISH_TRIES = 6;

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
  /** The live output of each run that is on its way. */
  readonly #publishing = new Map<string, DeltaBatch>();

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

  async start(request: StepStartedInit): Promise<StepStartedResponse> {
    await this.#said(request.runId ?? "");
    const response = await this.#options.platform.call(StepService.method.stepStarted, request);
    // As in `inOrder`: a report that is still out may have been recorded before what this reports.
    if (response.outcome.case === "replay")
      await Promise.all(this.#reports.get(request.runId ?? "") ?? []);
    return response;
  }

  async completed(request: StepCompletedInit): Promise<StepCompletedResponse> {
    await this.#said(request.runId ?? "");
    return this.#inOrder(request.runId ?? "", () =>
      this.#options.platform.call(StepService.method.stepCompleted, request),
    );
  }

  async failed(request: StepFailedInit): Promise<StepFailedResponse> {
    await this.#said(request.runId ?? "");
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

  async suspend(request: SuspendRunInit): Promise<SuspendRunResponse> {
    await this.#said(request.runId ?? "");
    return this.#options.platform.call(WorkerService.method.suspendRun, request);
  }

  closeWaits(request: CloseWaitsInit): Promise<unknown> {
    return this.#options.platform.call(WorkerService.method.closeWaits, request);
  }

  beginCleanUp(request: BeginCleanUpInit): Promise<unknown> {
    return this.#options.platform.call(WorkerService.method.beginCleanUp, request);
  }

  async complete(request: CompleteRunInit): Promise<CompleteRunResponse> {
    await this.#said(request.runId ?? "");
    return this.#options.platform.call(WorkerService.method.completeRun, request);
  }

  async fail(request: FailRunInit): Promise<FailRunResponse> {
    await this.#said(request.runId ?? "");
    return this.#options.platform.call(WorkerService.method.failRun, request);
  }

  flush(runId: string): void {
    this.#deltas.flush(runId);
  }

  publish(runId: string, fence: number, event: NewEventInit, bytes: number): number {
    return this.#deltas.add(runId, fence, event, bytes);
  }

  /** One call after the other for each run; numbers make it safe to send the same again. */
  #publish(batch: DeltaBatch): Promise<void> | undefined {
    if (this.#publishing.has(batch.runId)) return undefined;
    this.#publishing.set(batch.runId, batch);
    return this.#deliver(batch)
      .catch((error: unknown) =>
        this.#options.logger.debug("live output was given up", { error: String(error) }),
      )
      .finally(() => {
        if (this.#isPublishing(batch)) this.#publishing.delete(batch.runId);
      });
  }

  #isPublishing(batch: DeltaBatch): boolean {
    return this.#publishing.get(batch.runId) === batch;
  }

  /** Lasts through an outage, within the bound of what is kept, as long as the run is here. */
  async #deliver(batch: DeltaBatch): Promise<void> {
    const { platform } = this.#options;
    const request = create(PublishEventsRequestSchema, batch);
    const backoff = new Backoff(50, 1_000);
    const beganMs = performance.now();
    for (let tries = 0; ; ) {
      try {
        await platform.transport.clientStream(EventService.method.publishEvents, [request], {
          timeoutMs: 5_000,
        });
        return;
      } catch (error) {
        const late = error instanceof RequestError && error.reason === "DEADLINE_EXCEEDED";
        if (!(late || isTransient(error)) || !this.#isPublishing(batch)) throw error;
        if (platform.hasAnsweredSince(beganMs)) tries += 1;
        if (tries === PUBLISH_TRIES) throw error;
        await delay(backoff.next());
      }
    }
  }

  /** Separate calls may overtake one another: what the run has said goes first. */
  async #said(runId: string): Promise<void> {
    await this.#deltas.settled(runId);
  }

  startRun(request: StartRunInit): Promise<StartRunResponse> {
    return this.#options.platform.call(RunService.method.startRun, request);
  }

  async tags(runId: string): Promise<Readonly<Record<string, string>>> {
    const { run } = await this.#options.platform.call(RunService.method.getRun, { runId });
    return run?.tags ?? {};
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

  released(run: LeftRun): void {
    this.#publishing.delete(run.runId);
    this.#deltas.forget(run.runId);
    this.#options.onReleased(run);
  }

  close(): void {
    this.#deltas.flush();
    this.#deltas.close();
    this.#publishing.clear();
  }
}
