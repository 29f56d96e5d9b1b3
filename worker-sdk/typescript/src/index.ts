/** @pawl/worker: write durable workflows in TypeScript, run them on Pawl. */

export {
  Client,
  type ClientOptions,
  type ExecuteOptions,
  type ListOptions,
  type WorkerView,
} from "./client/client.ts";
export type {
  AnswerOptions,
  AnswerView,
  QuestionView,
  WaitKind,
  WaitLinkOptions,
  WaitsOptions,
  WaitView,
} from "./client/client-waits.ts";
export { RunHandle, type SignalSendOptions, type WatchOptions } from "./client/handle.ts";
export type { StartOptions } from "./client/start.ts";
export type {
  EntryView,
  EventView,
  FailureView,
  OpenWaitView,
  RunStatus,
  RunView,
} from "./client/views.ts";
export { type ResponseOptions, toReadableStream, toResponse } from "./client/web.ts";
export { toNodeResponse } from "./client/web-node.ts";
export { type AgentEvent, agent } from "./context/agent.ts";
export { type AmountRound, chainByAmount } from "./context/approval.ts";
export { current, currentOrUndefined } from "./context/current.ts";
export type {
  Approval,
  ApprovalOptions,
  ApprovalOutcome,
  ApprovalQuestion,
  ApprovalRound,
  AskUser,
  Callback,
  CallbackOptions,
  ChoiceQuestion,
  FormQuestion,
  MultichoiceQuestion,
  QuestionOption,
  QuestionOptions,
  TextQuestion,
  Vote,
} from "./context/question-types.ts";
export type {
  BranchOutcomes,
  BranchResults,
  ChildHandle,
  ChildOptions,
  CompensateCaller,
  Context,
  EmitOptions,
  MapOptions,
  StepCaller,
  StepContext,
  StepResult,
  StreamResult,
} from "./context/types.ts";
export type {
  CronTime,
  SignalOptions,
  SignalsOptions,
  SleepOptions,
  WaitCalls,
} from "./context/wait-types.ts";
export { type Duration, type DurationParts, type DurationText, duration } from "./duration.ts";
export {
  AmbiguousStepKeyError,
  Cancelled,
  InvalidValueError,
  NonDeterminismError,
  PawlError,
  RequestError,
  type RetryAfter,
  RetryableError,
  RunFailedError,
  type SchemaIssue,
  SerializationError,
  StepFailedError,
  StepTimeoutError,
  TerminalError,
  UsageError,
  WaitCancelledError,
  WaitTimeoutError,
} from "./errors.ts";
export type { FlowOptions } from "./flow-control.ts";
export { defaultLogger, type Logger, silentLogger } from "./lib/logger.ts";
export type { LocalAnswers, LocalQuestion } from "./local/answers.ts";
export { type LocalOptions, runLocally } from "./local/direct.ts";
export { pipeline } from "./pipeline.ts";
export { type Backoff, constant, delays, exponential, linear } from "./policy/backoff.ts";
export type { Retry, RetryOptions } from "./policy/retry.ts";
export type { Reduce, StepOptions } from "./run/step-settings.ts";
export { event, type StreamEvent } from "./run/stream-event.ts";
export { step } from "./step.ts";
export type { AnyStep, StepFunction } from "./step-types.ts";
export { spanIdGenerator } from "./telemetry/id-generator.ts";
export type { ModelCall } from "./telemetry/model-call.ts";
export { fromConnectTransport } from "./transport/connect.ts";
export { createGrpcTransport } from "./transport/grpc.ts";
export type { CallOptions, Duplex, DuplexHandlers, Transport } from "./transport/transport.ts";
export { Worker } from "./worker/worker.ts";
export type { ConnectionOptions, WorkerOptions } from "./worker/worker-options.ts";
export { type WorkflowOptions, workflow } from "./workflow.ts";
export type { AnyWorkflow, Workflow } from "./workflow-types.ts";
