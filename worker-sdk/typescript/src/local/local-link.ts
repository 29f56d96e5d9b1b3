/**
 * A platform within this process and for one run: it remembers nothing beyond
 * that run, but answers as the server does, so that a workflow has the same step
 * keys and results without one.
 */
import { create, type MessageInitShape } from "@bufbuild/protobuf";
import { timestampFromMs } from "@bufbuild/protobuf/wkt";
import {
  type CompleteRunResponse,
  CompleteRunResponseSchema,
  Directive,
  type FailRunResponse,
  FailRunResponseSchema,
  StepFailedResponse_Final_Action as FinalAction,
  JournalEntrySchema,
  ParentClosePolicy,
  type QuestionSchema,
  type StartRunResponse,
  StartRunResponseSchema,
  type StepCompletedResponse,
  StepCompletedResponseSchema,
  type StepFailedResponse,
  StepFailedResponseSchema,
  StepKind,
  type StepStartedResponse,
  StepStartedResponseSchema,
  type SuspendRunResponse,
  SuspendRunResponseSchema,
  WaitOutcome,
  StepStartedResponse_Wait_Why as Why,
} from "@pawl/proto";
import { decode, encode, payloadOf, type ReceivedPayload } from "../codec/payload.ts";
import { durationFromMs, msFrom } from "../duration.ts";
import { Cancelled, UsageError } from "../errors.ts";
import { errorOf, toFailure } from "../failure.ts";
import { startTimer } from "../lib/delay.ts";
import { policyDelayMs } from "../policy/retry.ts";
import type {
  CloseWaitsInit,
  CompleteRunInit,
  FailRunInit,
  NewEventInit,
  RunLink,
  StartRunInit,
  StepCompletedInit,
  StepFailedInit,
  StepStartedInit,
} from "../run/link.ts";
import type { Run } from "../run/run.ts";
import type { AnyWorkflow } from "../workflow-types.ts";
import type { LocalPeople } from "./answers.ts";
import { noAnswer, noCallback, noCron, noSignal } from "./missing.ts";

type EntryInit = MessageInitShape<typeof JournalEntrySchema>;

export interface LocalPlatform {
  /** Payloads of signals, by name, in the order in which they are taken. */
  readonly signals: Map<string, unknown[]>;
  /** What is posted to callbacks, by name, in the order in which they are made. */
  readonly callbacks: Map<string, unknown[]>;
  readonly people: LocalPeople;
  /** Sleeps and delays are over at once. */
  readonly skipTime: boolean;
  /** Runs a child; resolves with its result. */
  readonly runChild: (
    workflow: AnyWorkflow,
    input: unknown,
    runId: string,
    abortSignal: AbortSignal,
  ) => Promise<unknown>;
  readonly onEvent: ((type: string, data: unknown, stepKey: string) => void) | undefined;
}

interface LocalChild {
  readonly result: Promise<unknown>;
  readonly cancel: () => void;
}

export class LocalLink implements RunLink {
  readonly confirmStarts = false;
  readonly pushesWaits = true;
  readonly suspends = false;
  /** The run's outcome: its encoded result. */
  readonly result: Promise<ReceivedPayload>;
  readonly #platform: LocalPlatform;
  #run: Run | undefined;
  #seq = 0;
  readonly #failures = new Map<string, number>();
  readonly #children = new Map<string, LocalChild>();
  readonly #timers = new Map<string, () => void>();
  /** Signals that waits have taken, by step key. */
  readonly #taken = new Map<string, { readonly name: string; readonly value: unknown }>();
  /** The children that are waited for, by step key. */
  readonly #childWaits = new Map<string, LocalChild>();
  #resolve: (payload: ReceivedPayload) => void = () => undefined;
  #reject: (error: unknown) => void = () => undefined;

  constructor(platform: LocalPlatform) {
    this.#platform = platform;
    this.result = new Promise((resolve, reject) => {
      this.#resolve = resolve;
      this.#reject = reject;
    });
  }

  attach(run: Run): void {
    this.#run = run;
  }

  canStart(): boolean {
    return true;
  }

  noteStart(): void {
    // There is nobody to tell.
  }

  async start(request: StepStartedInit): Promise<StepStartedResponse> {
    const directive = Directive.CONTINUE;
    const stepKey = request.stepKey ?? "";
    if (request.wait === undefined) {
      const value = { attempt: (this.#failures.get(stepKey) ?? 0) + 1, idempotencyKey: "" };
      return create(StepStartedResponseSchema, { outcome: { case: "execute", value }, directive });
    }
    const dueMs = this.#await(stepKey, request);
    const until = dueMs === undefined ? {} : { until: timestampFromMs(dueMs) };
    const token = encodeURIComponent(stepKey);
    const value = {
      why: Why.WAIT,
      // There is no server that could be asked for it.
      waitId: stepKey,
      callbackToken: token,
      callbackUrl: `http://localhost.invalid/v1/callbacks/${token}`,
      ...until,
    };
    return create(StepStartedResponseSchema, { outcome: { case: "wait", value }, directive });
  }

  /** Starts a wait; returns when it is due. */
  #await(
    stepKey: string,
    { kind = StepKind.SLEEP, wait = {} }: StepStartedInit,
  ): number | undefined {
    const dueMs = dueOf(wait);
    switch (kind) {
      case StepKind.CHILD:
        this.#awaitChild(stepKey, wait.childRunId ?? "");
        return undefined;
      case StepKind.SIGNAL:
        if (this.#takeSignal(stepKey, wait.signalName ?? "", dueMs)) return dueMs;
        break;
      case StepKind.USER:
        void this.#ask(stepKey, wait.question ?? {}, dueMs);
        return dueMs;
      case StepKind.CALLBACK:
        if (this.#takeCallback(stepKey, dueMs)) return dueMs;
        break;
      default:
        if (wait.cron !== undefined && !this.#platform.skipTime) this.#reject(noCron(wait.cron));
        break;
    }
    if (kind === StepKind.SLEEP || dueMs !== undefined) this.#startTimer(stepKey, kind, dueMs);
    return dueMs;
  }

  #startTimer(stepKey: string, kind: StepKind, dueMs: number | undefined): void {
    const outcome = kind === StepKind.SLEEP ? WaitOutcome.FIRED : WaitOutcome.TIMED_OUT;
    const ms = this.#platform.skipTime ? 0 : Math.max(0, (dueMs ?? 0) - Date.now());
    const end = startTimer(ms, () => this.#push({ stepKey, kind, outcome }));
    this.#timers.set(stepKey, end);
  }

  /** Whether the wait is dealt with. */
  #takeSignal(stepKey: string, name: string, dueMs: number | undefined): boolean {
    const queue = this.#platform.signals.get(name);
    if (queue !== undefined && queue.length > 0) {
      const value = queue.shift();
      this.#taken.set(stepKey, { name, value });
      const payload = payloadOf(encode(value, `the signal "${name}"`));
      this.#resolveSoon({
        stepKey,
        kind: StepKind.SIGNAL,
        outcome: WaitOutcome.SIGNALLED,
        payload,
      });
      return true;
    }
    if (dueMs === undefined) this.#reject(noSignal(name));
    return dueMs === undefined;
  }

  #takeCallback(stepKey: string, dueMs: number | undefined): boolean {
    const name = nameIn(stepKey);
    const queue = this.#platform.callbacks.get(name);
    if (queue !== undefined && queue.length > 0) {
      const payload = payloadOf(encode(queue.shift(), `the call of callback "${name}"`));
      this.#resolveSoon({
        stepKey,
        kind: StepKind.CALLBACK,
        outcome: WaitOutcome.COMPLETED,
        payload,
      });
      return true;
    }
    if (dueMs === undefined) this.#reject(noCallback(name));
    return dueMs === undefined;
  }

  async #ask(
    stepKey: string,
    question: MessageInitShape<typeof QuestionSchema>,
    dueMs: number | undefined,
  ): Promise<void> {
    const kind = StepKind.USER;
    try {
      const answer = await this.#platform.people.answer(question, stepKey);
      if (answer !== undefined) {
        const { outcome, value, details } = answer;
        const payload = payloadOf(encode(value, `the answer to "${question.prompt}"`));
        this.#resolveSoon({ stepKey, kind, outcome, payload, details });
      } else if (dueMs !== undefined) {
        this.#startTimer(stepKey, kind, dueMs);
      } else {
        this.#reject(noAnswer(question.prompt ?? ""));
      }
    } catch (error) {
      this.#reject(error);
    }
  }

  async closeWaits({ stepKeys = [] }: CloseWaitsInit): Promise<void> {
    for (const stepKey of stepKeys) {
      this.#timers.get(stepKey)?.();
      const taken = this.#taken.get(stepKey);
      this.#taken.delete(stepKey);
      // It goes back to its place, before what came after it.
      if (taken !== undefined) this.#platform.signals.get(taken.name)?.unshift(taken.value);
      this.#childWaits.get(stepKey)?.cancel();
    }
  }

  async beginCleanUp(): Promise<void> {
    // There is nobody to tell.
  }

  #awaitChild(stepKey: string, childRunId: string): void {
    const kind = StepKind.CHILD;
    const child = this.#children.get(childRunId);
    if (child === undefined) return;
    this.#childWaits.set(stepKey, child);
    child.result.then(
      (value) =>
        this.#push({
          stepKey,
          kind,
          outcome: WaitOutcome.COMPLETED,
          payload: payloadOf(encode(value, "a child's result")),
        }),
      (error: unknown) =>
        this.#push({ stepKey, kind, outcome: WaitOutcome.FAILED, failure: toFailure(error) }),
    );
  }

  #resolveSoon(entry: EntryInit): void {
    setImmediate(() => this.#push(entry));
  }

  #push(entry: EntryInit): void {
    this.#seq += 1;
    this.#run?.waitResolved(
      create(JournalEntrySchema, { ...entry, type: "workflow.wait.resolved", seq: this.#seq }),
    );
  }

  async completed(_request: StepCompletedInit): Promise<StepCompletedResponse> {
    this.#seq += 1;
    return create(StepCompletedResponseSchema, { directive: Directive.CONTINUE, seq: this.#seq });
  }

  async failed(request: StepFailedInit): Promise<StepFailedResponse> {
    this.#seq += 1;
    const key = request.stepKey ?? "";
    const failures = (this.#failures.get(key) ?? 0) + 1;
    this.#failures.set(key, failures);
    const { retryPolicy: policy, failure } = request;
    const final =
      policy === undefined ||
      failures >= (policy.maxAttempts ?? 1) ||
      failure?.nonRetryable === true ||
      (policy.nonRetryableTypes ?? []).includes(failure?.type ?? "");
    const seq = this.#seq;
    const directive = Directive.CONTINUE;
    if (final) {
      const value = { action: FinalAction.THROW };
      return create(StepFailedResponseSchema, { next: { case: "final", value }, directive, seq });
    }
    const retryAfter = failure?.retryAfter;
    const wantedMs =
      retryAfter === undefined ? policyDelayMs(policy, failures) : initMs(retryAfter);
    const value = {
      attempt: failures + 1,
      delay: durationFromMs(this.#platform.skipTime ? 0 : wantedMs),
    };
    return create(StepFailedResponseSchema, { next: { case: "retry", value }, directive, seq });
  }

  async suspend(): Promise<SuspendRunResponse> {
    return create(SuspendRunResponseSchema, { resumed: true, directive: Directive.CONTINUE });
  }

  async complete(request: CompleteRunInit): Promise<CompleteRunResponse> {
    const { data = new Uint8Array(0), encoding = "" } = request.output ?? {};
    this.#resolve({ data, encoding });
    return create(CompleteRunResponseSchema, { directive: Directive.CONTINUE });
  }

  async fail(request: FailRunInit, error: unknown): Promise<FailRunResponse> {
    const reason = this.#run?.cancelReason;
    // A run that is cancelled ends as such, whatever its code came to meanwhile, as on the server.
    if (reason !== undefined && !(error instanceof Cancelled)) this.#reject(new Cancelled(reason));
    else this.#reject(error instanceof Error ? error : errorOf(request.failure ?? {}));
    return create(FailRunResponseSchema, { directive: Directive.CONTINUE });
  }

  flush(): void {
    // Nothing is gathered.
  }

  publish(_runId: string, _fence: number, event: NewEventInit): number {
    const { onEvent } = this.#platform;
    if (onEvent === undefined) return 0;
    const { data = new Uint8Array(0), encoding = "" } = event.payload ?? {};
    onEvent(event.type ?? "", decode({ data, encoding }), event.stepKey ?? "");
    return 0;
  }

  async startRun(
    request: StartRunInit,
    workflow: AnyWorkflow | undefined,
  ): Promise<StartRunResponse> {
    const { runId = "", workflow: name = "" } = request;
    if (workflow === undefined) {
      throw new UsageError(
        `the child "${name}" is known by its name only, which takes a platform to find; pass the workflow itself to ctx.child`,
      );
    }
    const { data = new Uint8Array(0), encoding = "" } = request.input ?? {};
    const controller = new AbortController();
    const { signal } = controller;
    const result = this.#platform.runChild(workflow, decode({ data, encoding }), runId, signal);
    result.catch(() => undefined);
    const goesOn = request.parentClosePolicy === ParentClosePolicy.ABANDON;
    const cancel = goesOn
      ? () => undefined
      : () => controller.abort("its parent no longer waits for it");
    this.#children.set(runId, { result, cancel });
    return create(StartRunResponseSchema, { run: { runId } });
  }

  async tags(): Promise<Readonly<Record<string, string>>> {
    return {};
  }

  async download(payload: ReceivedPayload): Promise<ReceivedPayload> {
    return payload;
  }

  async upload(): Promise<never> {
    throw new UsageError("a run without a platform has nowhere to put a payload of that size");
  }

  attention(): Promise<boolean> {
    // Nothing is going on beside the run.
    return Promise.resolve(true);
  }

  released(): void {
    this.#run = undefined;
    for (const end of this.#timers.values()) end();
  }
}

/** When a wait is due, in ms since the epoch; undefined where it has no time limit. */
function dueOf({ until, duration }: NonNullable<StepStartedInit["wait"]>): number | undefined {
  if (until !== undefined) return initMs(until);
  return duration === undefined ? undefined : Date.now() + initMs(duration);
}

/** The name in the last segment of a callback's key. */
function nameIn(stepKey: string): string {
  const [, name = ""] = /callback:([^/[#]*)[^/]*$/.exec(stepKey) ?? [];
  return decodeURIComponent(name);
}

function initMs(time: { readonly seconds?: bigint; readonly nanos?: number }): number {
  return msFrom({ seconds: time.seconds ?? 0n, nanos: time.nanos ?? 0 });
}
