/** A connection as the runs in it see it. */
import type {
  CompleteRunResponse,
  FailRunResponse,
  StartRunResponse,
  StepCompletedResponse,
  StepFailedResponse,
  StepStartedResponse,
  SuspendRunResponse,
} from "@pawl/proto";
import { RunService } from "@pawl/proto";
import type { ReceivedPayload } from "../codec/payload.ts";
import type {
  BeginCleanUpInit,
  CloseWaitsInit,
  CompleteRunInit,
  FailRunInit,
  LeftRun,
  NewEventInit,
  RunLink,
  StartNote,
  StartRunInit,
  StepCompletedInit,
  StepFailedInit,
  StepStartedInit,
  SuspendRunInit,
} from "../run/link.ts";
import type { Platform } from "../transport/platform.ts";
import type { Connection } from "./connection.ts";
import { frameBytes } from "./outbox.ts";

function payloadBytes(payload: { readonly data?: Uint8Array } | undefined): number {
  return payload?.data?.length ?? 0;
}

export class ConnectionLink implements RunLink {
  readonly confirmStarts = false;
  readonly pushesWaits = true;
  readonly suspends = true;
  readonly #connection: Connection;
  readonly #platform: Platform;

  constructor(connection: Connection, platform: Platform) {
    this.#connection = connection;
    this.#platform = platform;
  }

  canStart(): boolean {
    return this.#connection.mayStart();
  }

  noteStart(runId: string, note: StartNote): void {
    this.flush(runId);
    this.#connection.push(note, frameBytes);
  }

  start(value: StepStartedInit): Promise<StepStartedResponse> {
    this.flush(value.runId ?? "");
    const bytes = frameBytes + payloadBytes(value.input);
    return this.#connection.ask(
      value.runId ?? "",
      { case: "stepStarted", value },
      bytes,
      "stepStarted",
    );
  }

  completed(value: StepCompletedInit): Promise<StepCompletedResponse> {
    this.flush(value.runId ?? "");
    const bytes = frameBytes + payloadBytes(value.output) + payloadBytes(value.input);
    return this.#connection.ask(
      value.runId ?? "",
      { case: "stepCompleted", value },
      bytes,
      "stepCompleted",
    );
  }

  failed(value: StepFailedInit): Promise<StepFailedResponse> {
    this.flush(value.runId ?? "");
    const bytes = 64 * frameBytes + payloadBytes(value.input);
    return this.#connection.ask(
      value.runId ?? "",
      { case: "stepFailed", value },
      bytes,
      "stepFailed",
    );
  }

  suspend(value: SuspendRunInit): Promise<SuspendRunResponse> {
    this.flush(value.runId ?? "");
    return this.#connection.ask(
      value.runId ?? "",
      { case: "suspendRun", value },
      4 * frameBytes,
      "suspendRun",
    );
  }

  closeWaits(value: CloseWaitsInit): Promise<unknown> {
    const bytes = frameBytes * (1 + (value.stepKeys?.length ?? 0));
    return this.#connection.ask(
      value.runId ?? "",
      { case: "closeWaits", value },
      bytes,
      "closeWaits",
    );
  }

  beginCleanUp(value: BeginCleanUpInit): Promise<unknown> {
    const bytes = frameBytes * (1 + (value.compensations?.length ?? 0));
    return this.#connection.ask(
      value.runId ?? "",
      { case: "beginCleanUp", value },
      bytes,
      "beginCleanUp",
    );
  }

  complete(value: CompleteRunInit): Promise<CompleteRunResponse> {
    this.flush(value.runId ?? "");
    const bytes = frameBytes + payloadBytes(value.output);
    const answer = this.#connection.ask(
      value.runId ?? "",
      { case: "completeRun", value },
      bytes,
      "completeRun",
    );
    this.#connection.ending(value.runId ?? "");
    return answer;
  }

  fail(value: FailRunInit): Promise<FailRunResponse> {
    this.flush(value.runId ?? "");
    const answer = this.#connection.ask(
      value.runId ?? "",
      { case: "failRun", value },
      64 * frameBytes,
      "failRun",
    );
    this.#connection.ending(value.runId ?? "");
    return answer;
  }

  /** Before all that the run reports: its stream is in the order of its code. */
  flush(runId: string): void {
    this.#connection.flushDeltas(runId);
  }

  publish(runId: string, fence: number, event: NewEventInit, bytes: number): number {
    return this.#connection.publish(runId, fence, event, bytes);
  }

  startRun(request: StartRunInit): Promise<StartRunResponse> {
    return this.#platform.call(RunService.method.startRun, request);
  }

  async tags(runId: string): Promise<Readonly<Record<string, string>>> {
    const { run } = await this.#platform.call(RunService.method.getRun, { runId });
    return run?.tags ?? {};
  }

  download(payload: ReceivedPayload): Promise<ReceivedPayload> {
    return this.#platform.download(payload);
  }

  upload(data: Uint8Array): Promise<{ sha256: string; size: number }> {
    return this.#platform.upload(data);
  }

  attention(): Promise<boolean> {
    // The connection is told of cancellations without asking; a heartbeat asks all the same.
    this.#connection.heartbeat();
    return Promise.resolve(true);
  }

  released(run: LeftRun): void {
    this.#connection.released(run);
  }
}
