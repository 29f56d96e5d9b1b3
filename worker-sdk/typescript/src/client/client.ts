import {
  RunService,
  type StartRunRequest,
  WaitService,
  type Worker as WorkerMessage,
  WorkerService,
  WorkflowService,
} from "@pawl/proto";
import { refuseInsideRun } from "../context/execute.ts";
import { type Duration, durationMs } from "../duration.ts";
import { defaultLogger, type Logger } from "../lib/logger.ts";
import { currentTracing, loadTracing } from "../telemetry/setup.ts";
import { FramedCalls } from "../transport/framed-calls.ts";
import { Platform } from "../transport/platform.ts";
import { pageSizeOf } from "../transport/status.ts";
import type { Transport } from "../transport/transport.ts";
import { type ConnectionOptions, resolveTransport } from "../worker/worker-options.ts";
import type { AnyWorkflow, Workflow } from "../workflow-types.ts";
import { executeClaimed } from "./claim.ts";
import {
  type AnswerOptions,
  answerWait,
  createWaitLink,
  getWait,
  listWaits,
  type WaitLinkOptions,
  type WaitsOptions,
  type WaitView,
  waitView,
} from "./client-waits.ts";
import { hasEnded, outcomeOf, RunHandle, waitMs } from "./handle.ts";
import { type StartOptions, startRequest } from "./start.ts";
import { type RunStatus, type RunView, runView, statusCode } from "./views.ts";

export interface ClientOptions extends ConnectionOptions {
  /**
   * How long a call is retried while the server is unreachable; then the call fails.
   * Default: 15 s, which covers a restart of the server. In a web handler use about 2 s, and give signals a
   * `signalId`, so that a second click does not send a second signal.
   */
  readonly retryFor?: Duration;
  /** Receives the client's own log lines. Default: lines on standard error. */
  readonly logger?: Logger;
}

export interface ListOptions {
  /** Runs in any of these. Default: all. */
  readonly statuses?: readonly RunStatus[];
  readonly workflow?: string;
  /** Tags that a run must have, all of them. */
  readonly tags?: Readonly<Record<string, string>>;
  /** 1 to 500. Default: 50. */
  readonly pageSize?: number;
  /** The `nextPageToken` of the previous page. Default: the first page. */
  readonly pageToken?: string;
  readonly parentRunId?: string;
}

export interface ExecuteOptions extends StartOptions {
  /** Stops the execution and gives the run back; it can be continued here or elsewhere. */
  readonly abortSignal?: AbortSignal;
  /**
   * How long to wait while another process executes the run; then RUN_LEASED is thrown. Default: not at all. Use
   * at least 15 s to continue after a crash, because the lease of a killed process lasts up to 15 s.
   */
  readonly leaseWait?: Duration;
}

/** A worker that the server has seen recently. */
export interface WorkerView {
  readonly workerId: string;
  readonly connected: boolean;
  readonly inFlight: number;
  readonly slots: number;
  readonly workflows: readonly string[];
  readonly language: string;
}

function workerView(worker: WorkerMessage): WorkerView {
  return {
    workerId: worker.info?.workerId ?? "",
    connected: worker.connected,
    inFlight: worker.inFlight,
    slots: worker.info?.slots ?? 0,
    workflows: (worker.info?.workflows ?? []).map((spec) => spec.name),
    language: worker.info?.language ?? "",
  };
}

/**
 * Starts and controls runs. All requests are idempotent, and the client retries them while the server is
 * unreachable. If the server rejects a request, a RequestError is thrown; branch on its `reason`.
 */
export class Client {
  readonly #platform: Platform;
  readonly #calls: FramedCalls;
  readonly #transport: Transport;
  readonly #ownsTransport: boolean;
  readonly #logger: Logger;

  constructor(options: ClientOptions = {}) {
    const { transport, owned } = resolveTransport(options);
    this.#transport = transport;
    this.#ownsTransport = owned;
    this.#calls = new FramedCalls(transport);
    this.#platform = new Platform(this.#calls, durationMs(options.retryFor ?? "15 s"));
    this.#logger = options.logger ?? defaultLogger;
  }

  /**
   * Starts a run and returns its handle. If a run with the same id and input exists, returns its handle.
   * @throws InvalidValueError if the input does not match the workflow's schema; no run is created
   * @throws RequestError RUN_EXISTS if the id is in use with other content
   */
  start<I, O>(workflow: Workflow<I, O>, input: I, options?: StartOptions): Promise<RunHandle<O>>;
  start(workflow: string, input?: unknown, options?: StartOptions): Promise<RunHandle>;
  start(
    workflow: AnyWorkflow | string,
    input?: unknown,
    options: StartOptions = {},
  ): Promise<RunHandle<never>> {
    return this.#start(workflow, input, options);
  }

  async #start(
    workflow: AnyWorkflow | string,
    input: unknown,
    options: StartOptions,
  ): Promise<RunHandle<never>> {
    refuseInsideRun("client.start()", "ctx.child(), or call it in a step with a runId of its own");
    const request = await startRequest(this.#platform, workflow, input, options);
    const response = await this.#traced(request, () =>
      this.#platform.call(RunService.method.startRun, request),
    );
    return new RunHandle(this.#platform, response.run?.runId ?? request.runId, response.existing);
  }

  /** With a span around it, where there is tracing, that the run is a child of. */
  async #traced<T>(request: StartRunRequest, call: () => Promise<T>): Promise<T> {
    const tracing = await loadTracing(this.#logger);
    const span = tracing?.start(request.workflow, request.traceparent);
    if (span === undefined) return call();
    request.traceparent = span.traceparent;
    try {
      const answer = await call();
      span.end(request.runId);
      return answer;
    } catch (error) {
      span.end(request.runId, error);
      throw error;
    }
  }

  /** Starts a run and waits for its result. */
  run<I, O>(workflow: Workflow<I, O>, input: I, options?: StartOptions): Promise<O>;
  run(workflow: string, input?: unknown, options?: StartOptions): Promise<unknown>;
  async run(
    workflow: AnyWorkflow | string,
    input?: unknown,
    options: StartOptions = {},
  ): Promise<never> {
    refuseInsideRun("client.run()", "ctx.child(), or call it in a step with a runId of its own");
    const request = await startRequest(this.#platform, workflow, input, options);
    const { run, existing } = await this.#traced(request, () =>
      this.#platform.retrying(() => this.#calls.startAndWait(request, waitMs)),
    );
    const runId = run?.runId ?? request.runId;
    if (run === undefined || !hasEnded(run))
      return new RunHandle<never>(this.#platform, runId, existing).result();
    return (await outcomeOf(this.#platform, run)) as never;
  }

  /**
   * Executes a run in this process, without a worker. After a crash, call it again with the same run id, and
   * it continues; after the run has ended, it returns the recorded result.
   * @throws RequestError RUN_LEASED if another process still executes the run after `leaseWait` (default: none);
   *   the lease of a killed process lasts up to 15 s
   */
  async execute<I, O>(
    workflow: Workflow<I, O>,
    input: I,
    options: ExecuteOptions = {},
  ): Promise<O> {
    refuseInsideRun("client.execute()", "ctx.child()");
    const { abortSignal, leaseWait, ...startOptions } = options;
    const request = await startRequest(this.#platform, workflow, input, startOptions);
    const wishes = {
      leaseWaitMs: leaseWait === undefined ? 0 : durationMs(leaseWait),
      abortSignal,
    };
    return (await this.#traced(request, () =>
      executeClaimed(this.#platform, request, workflow, this.#logger, wishes),
    )) as O;
  }

  /** Returns a handle for an existing run; `workflow` types its result. It sends no request. */
  handle<I, O>(runId: string, workflow: Workflow<I, O>): RunHandle<O>;
  handle(runId: string): RunHandle;
  handle(runId: string, _workflow?: AnyWorkflow): RunHandle<never> {
    return new RunHandle(this.#platform, runId, true);
  }

  /** Returns a page of runs, newest first. */
  async list(options: ListOptions = {}): Promise<{ runs: RunView[]; nextPageToken: string }> {
    const { runs, nextPageToken } = await this.#platform.call(RunService.method.listRuns, {
      statuses: (options.statuses ?? []).map(statusCode),
      workflow: options.workflow ?? "",
      tags: { ...options.tags },
      pageSize: pageSizeOf(options.pageSize),
      pageToken: options.pageToken ?? "",
      parentRunId: options.parentRunId ?? "",
    });
    return { runs: runs.map(runView), nextPageToken };
  }

  /** Returns the registered workflows, by name. */
  async workflows(): Promise<
    { name: string; version: string; description: string; servedBy: string[] }[]
  > {
    const { workflows } = await this.#platform.call(WorkflowService.method.listWorkflows, {});
    return workflows.map(({ spec, servedBy }) => ({
      name: spec?.name ?? "",
      version: spec?.version ?? "",
      description: spec?.description ?? "",
      servedBy,
    }));
  }

  async workers(): Promise<WorkerView[]> {
    const { workers } = await this.#platform.call(WorkerService.method.listWorkers, {});
    return workers.map(workerView);
  }

  /**
   * Returns a page of open waits, oldest first: with `kinds: ["user"]` the open questions, with `assignee` the
   * inbox of one person.
   */
  waits(options: WaitsOptions = {}): Promise<{ waits: WaitView[]; nextPageToken: string }> {
    return listWaits(this.#platform, options);
  }

  /** Returns a wait, open or resolved, with the value that resolved it. */
  wait(waitId: string): Promise<WaitView & { readonly payload: unknown }> {
    return getWait(this.#platform, waitId);
  }

  /**
   * Answers a question with a string, true or false, the value of an option, a list of such values, or the
   * fields of a form. Also resolves a callback manually. @throws RequestError INVALID_ANSWER (see
   * `metadata.allowed`), WAIT_ALREADY_RESOLVED (`metadata.resolved_by`), PERMISSION_DENIED
   */
  answer(
    waitId: string,
    answer: unknown,
    options: AnswerOptions = {},
  ): Promise<{ wait: WaitView; duplicate: boolean }> {
    return answerWait(this.#platform, { waitId }, { value: answer }, options);
  }

  /** Declines to answer a question that is skippable. */
  skip(
    waitId: string,
    options: AnswerOptions = {},
  ): Promise<{ wait: WaitView; duplicate: boolean }> {
    return answerWait(this.#platform, { waitId }, undefined, options);
  }

  /** Cancels a wait: its run gets WaitCancelledError. */
  async cancelWait(
    waitId: string,
    { actor = "", comment = "" }: Omit<AnswerOptions, "resolutionId"> = {},
  ): Promise<WaitView> {
    const request = { waitId, actor, comment };
    const { wait } = await this.#platform.call(WaitService.method.cancelWait, request);
    return waitView(wait);
  }

  /** Creates a URL with which one person can answer a question once, without a key. */
  createWaitLink(
    waitId: string,
    options: WaitLinkOptions = {},
  ): Promise<{ url: string; token: string; expiresAt: Date | undefined }> {
    return createWaitLink(this.#platform, waitId, options);
  }

  /** Closes the connection, unless the transport was passed to this client. */
  close(): void {
    void currentTracing()?.flush();
    this.#calls.close();
    if (this.#ownsTransport) this.#transport.close();
  }
}
