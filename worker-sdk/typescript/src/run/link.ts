import type { MessageInitShape } from "@bufbuild/protobuf";
import type {
  BeginCleanUpRequestSchema,
  CloseWaitsRequestSchema,
  CompleteRunRequestSchema,
  CompleteRunResponse,
  FailRunRequestSchema,
  FailRunResponse,
  NewEventSchema,
  StartRunRequestSchema,
  StartRunResponse,
  StepCompletedRequestSchema,
  StepCompletedResponse,
  StepFailedRequestSchema,
  StepFailedResponse,
  StepStartedRequestSchema,
  StepStartedResponse,
  SuspendRunRequestSchema,
  SuspendRunResponse,
} from "@pawl/proto";
import type { ReceivedPayload } from "../codec/payload.ts";
import type { AnyWorkflow } from "../workflow-types.ts";

export type StepStartedInit = MessageInitShape<typeof StepStartedRequestSchema>;
export type StepCompletedInit = MessageInitShape<typeof StepCompletedRequestSchema>;
export type StepFailedInit = MessageInitShape<typeof StepFailedRequestSchema>;
export type SuspendRunInit = MessageInitShape<typeof SuspendRunRequestSchema>;
export type CompleteRunInit = MessageInitShape<typeof CompleteRunRequestSchema>;
export type FailRunInit = MessageInitShape<typeof FailRunRequestSchema>;
export type StartRunInit = MessageInitShape<typeof StartRunRequestSchema>;
export type CloseWaitsInit = MessageInitShape<typeof CloseWaitsRequestSchema>;
export type BeginCleanUpInit = MessageInitShape<typeof BeginCleanUpRequestSchema>;
export type NewEventInit = MessageInitShape<typeof NewEventSchema>;

/** A step whose start may be announced, unless it ends before there is a chance to. */
export interface StartNote {
  readonly ended: boolean;
  startMessage(): StepStartedInit;
}

/** A run that has left its worker. */
export interface LeftRun {
  readonly runId: string;
  readonly fence: number;
  /** The platform does not know of it, so that the run has to be given back. */
  readonly gaveUp: boolean;
}

/**
 * What a run needs from the platform, whichever way it is reached: a session
 * stream, unary calls, or nothing at all (a local run). The calls reject with
 * RequestError; what is worth sending again, because no server answered, is sent
 * again inside.
 */
export interface RunLink {
  /** Each start is to be confirmed before its step runs; false in a session. */
  readonly confirmStarts: boolean;
  /** Resolutions of waits are pushed; otherwise the run has to ask again. */
  readonly pushesWaits: boolean;
  /** The run may be given back while it waits. */
  readonly suspends: boolean;
  /** False while the platform is out of reach: no step may start then. */
  canStart(): boolean;
  noteStart(runId: string, note: StartNote): void;
  start(request: StepStartedInit): Promise<StepStartedResponse>;
  completed(request: StepCompletedInit): Promise<StepCompletedResponse>;
  failed(request: StepFailedInit): Promise<StepFailedResponse>;
  suspend(request: SuspendRunInit): Promise<SuspendRunResponse>;
  /** What these waits bring will never be taken. */
  closeWaits(request: CloseWaitsInit): Promise<unknown>;
  /** Says what a clean-up is about to undo. */
  beginCleanUp(request: BeginCleanUpInit): Promise<unknown>;
  complete(request: CompleteRunInit): Promise<CompleteRunResponse>;
  /** `error` is what the request was made of, for a platform in this process. */
  fail(request: FailRunInit, error: unknown): Promise<FailRunResponse>;
  /** Sends live output that is still being gathered: what it belongs to is about to end. */
  flush(runId: string): void;
  /** Live output; never waits, never fails, and may drop. Answers its number under this fence. */
  publish(runId: string, fence: number, event: NewEventInit, bytes: number): number;
  /** `workflow`: its definition, where the caller has one. */
  startRun(request: StartRunInit, workflow: AnyWorkflow | undefined): Promise<StartRunResponse>;
  /** The tags that the run has now. */
  tags(runId: string): Promise<Readonly<Record<string, string>>>;
  /** Fetches a payload that was too large to travel inline. */
  download(payload: ReceivedPayload): Promise<ReceivedPayload>;
  /** Stores a payload that is too large to travel inline. */
  upload(data: Uint8Array): Promise<{ sha256: string; size: number }>;
  /**
   * The platform has something to say about the run: asks what it is. Resolves once it has been
   * asked, false where that was not possible.
   */
  attention(runId: string): Promise<boolean>;
  /** The run has left this worker. */
  released(run: LeftRun): void;
}
