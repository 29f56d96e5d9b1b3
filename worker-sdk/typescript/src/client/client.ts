import {
  RunService,
  SignalService,
  type StartRunRequest,
  type Worker as WorkerMessage,
  WorkerService,
  WorkflowService,
} from "@pawl/proto";
import { refuseInsideRun } from "../context/execute.ts";
import { type Duration, durationMs } from "../duration.ts";
import { defaultLogger, type Logger } from "../lib/logger.ts";
import { currentTracing, loadTracing } from "../telemetry/setup.ts";
import { Platform } from "../transport/platform.ts";
import { pageSizeOf } from "../transport/status.ts";
import type { Transport } from "../transport/transport.ts";
import { type ConnectionOptions, resolveTransport } from "../worker/worker-options.ts";
import type { AnyWorkflow, Workflow } from "../workflow.ts";
import { executeClaimed } from "./claim.ts";
import { RunHandle } from "./handle.ts";
import { type StartOptions, startRequest } from "./start.ts";
import { type RunInfo, type RunState, runView, stateCode } from "./views.ts";
import {
  type AnswerLinkOptions,
  type AnswerOptions,
  createAnswerLink,
  getWait,
  listWaits,
  resolveWait,
  type WaitInfo,
  type WaitsOptions,
  waitInfo,
} from "./waits.ts";

export interface ClientOptions extends ConnectionOptions {
  /**
   * How long a call is sent again while no server answers. Default: 15 s. Where somebody waits for
   * the answer, as in a web handler, 2 s are better; give a signal a `signalId` there, so that their
   * second try is no second signal.
   */
  readonly retryFor?: Duration;
  readonly logger?: Logger;
}

export interface ListOptions {
  /** Any of these. Default: all. */
  readonly states?: readonly RunState[];
  readonly workflow?: string;
  /** All of these. */
  readonly tags?: Readonly<Record<string, string>>;
  /** 1 to 500. Default: 50. */
  readonly pageSize?: number;
  /** From the page before. */
  readonly pageToken?: string;
  readonly parentRunId?: string;
}

export interface ExecuteOptions extends StartOptions {
  /** Gives the run up: it can be taken on again, here or elsewhere. */
  readonly abortSignal?: AbortSignal;
  /** How long to wait while somebody else executes the run. Default: not at all. */
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
 * Starts runs and looks after them. Everything that it sends can be sent again,
 * and is, while no server answers. Errors of the server are PawlError; branch on
 * their `reason`.
 */
export class Client {
  readonly #platform: Platform;
  readonly #transport: Transport;
  readonly #ownsTransport: boolean;
  readonly #logger: Logger;

  constructor(options: ClientOptions = {}) {
    const { transport, owned } = resolveTransport(options);
    this.#transport = transport;
    this.#ownsTransport = owned;
    this.#platform = new Platform(transport, durationMs(options.retryFor ?? "15 s"));
    this.#logger = options.logger ?? defaultLogger;
  }

  /**
   * Starts a run, or finds the one that was started with the same id and input.
   * Throws InvalidValueError when the input fails the workflow's schema (no run is
   * created), PawlError RUN_EXISTS when the id is taken by other content.
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
    const handle = await this.#start(workflow, input, options);
    return handle.result();
  }

  /**
   * Executes a run in this process, with no worker. Called again after a crash,
   * with the same run id, it continues; called again after its end, it returns the
   * recorded result. Throws PawlError RUN_LEASED when somebody else executes it, and
   * still does so after `leaseWait` (default: none): the lease of a process that
   * was killed lasts up to 15 s.
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

  /** A handle for a run that was started before; `workflow` types its result. */
  handle<I, O>(runId: string, workflow: Workflow<I, O>): RunHandle<O>;
  handle(runId: string): RunHandle;
  handle(runId: string, _workflow?: AnyWorkflow): RunHandle<never> {
    return new RunHandle(this.#platform, runId, true);
  }

  /** A page of runs, newest first. */
  async list(options: ListOptions = {}): Promise<{ runs: RunInfo[]; nextPageToken: string }> {
    const { runs, nextPageToken } = await this.#platform.call(RunService.method.listRuns, {
      states: (options.states ?? []).map(stateCode),
      workflow: options.workflow ?? "",
      tags: { ...options.tags },
      pageSize: pageSizeOf(options.pageSize),
      pageToken: options.pageToken ?? "",
      parentRunId: options.parentRunId ?? "",
    });
    return { runs: runs.map(runView), nextPageToken };
  }

  /** The workflows that workers have registered, by name. */
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
   * What runs wait for, oldest first: with `kinds: ["user"]` the open questions, with
   * `assignee` one person's inbox.
   */
  waits(options: WaitsOptions = {}): Promise<{ waits: WaitInfo[]; nextPageToken: string }> {
    return listWaits(this.#platform, options);
  }

  /** One wait, open or resolved, and what it was resolved with. */
  wait(waitId: string): Promise<WaitInfo & { readonly value: unknown }> {
    return getWait(this.#platform, waitId);
  }

  /**
   * Returns a question: a text, true or false, an option's value, a list of them, or a form's
   * fields. Also resolves a callback by hand. Throws PawlError INVALID_ANSWER (what is allowed is
   * in `metadata.allowed`), WAIT_ALREADY_RESOLVED (`metadata.resolved_by`), PERMISSION_DENIED.
   */
  answer(
    waitId: string,
    answer: unknown,
    options: AnswerOptions = {},
  ): Promise<{ wait: WaitInfo; duplicate: boolean }> {
    return resolveWait(this.#platform, waitId, { value: answer }, options);
  }

  /** Declines to answer a question that is skippable. */
  skip(
    waitId: string,
    options: AnswerOptions = {},
  ): Promise<{ wait: WaitInfo; duplicate: boolean }> {
    return resolveWait(this.#platform, waitId, undefined, options);
  }

  /** Ends a wait without what it waits for: its run gets WaitCancelledError. */
  async cancelWait(
    waitId: string,
    { actor = "", comment = "" }: Omit<AnswerOptions, "resolutionId"> = {},
  ): Promise<WaitInfo> {
    const request = { waitId, actor, comment };
    const { wait } = await this.#platform.call(SignalService.method.cancelWait, request);
    return waitInfo(wait);
  }

  /** A URL under which one person can answer a question once, without a key. */
  answerLink(
    waitId: string,
    options: AnswerLinkOptions = {},
  ): Promise<{ url: string; token: string; expiresAt: Date | undefined }> {
    return createAnswerLink(this.#platform, waitId, options);
  }

  /** Ends the connection, unless it was given to this client. */
  close(): void {
    void currentTracing()?.flush();
    if (this.#ownsTransport) this.#transport.close();
  }
}
