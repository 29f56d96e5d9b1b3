/**
 * A platform for tests of the execution core: keeps a journal in memory, answers
 * after random delays (seeded), and can be cut off at any entry, so that a run can
 * be taken up again from every prefix of its journal.
 */
import { create, type MessageInitShape } from "@bufbuild/protobuf";
import { timestampFromMs } from "@bufbuild/protobuf/wkt";
import {
  CompleteRunResponseSchema,
  Directive,
  FailRunResponseSchema,
  StepFailedResponse_Final_Action as FinalAction,
  type JournalEntry,
  JournalEntrySchema,
  StartRunResponseSchema,
  StepCompletedResponseSchema,
  StepFailedResponseSchema,
  StepKind,
  StepStartedResponse_Wait_Why,
  StepStartedResponseSchema,
  SuspendRunResponseSchema,
  WaitOutcome,
} from "@pawl/proto";
import { type AnyWorkflow, RequestError, silentLogger } from "../../src/index.ts";
import {
  encode,
  execute,
  Memo,
  payloadOf,
  type RunFacts,
  type RunLink,
} from "../../src/internal.ts";

type Run = ReturnType<typeof execute>;
type EntryInit = MessageInitShape<typeof JournalEntrySchema>;
type Request<M extends keyof RunLink> = RunLink[M] extends (
  request: infer R,
  ...rest: never[]
) => unknown
  ? R
  : never;

export interface Outcome {
  readonly kind: "completed" | "failed" | "suspended" | "cut";
  readonly request?: Request<"complete"> | Request<"fail"> | Request<"suspend">;
}

/** A small seeded generator of numbers below 1. */
export function seeded(seed: number): () => number {
  let state = seed >>> 0;
  return () => {
    state = (state + 0x6d2b79f5) >>> 0;
    let t = Math.imul(state ^ (state >>> 15), state | 1);
    t ^= t + Math.imul(t ^ (t >>> 7), t | 61);
    return ((t ^ (t >>> 14)) >>> 0) / 4294967296;
  };
}

export interface LinkOptions {
  readonly journal?: readonly JournalEntry[];
  /** Nothing is recorded any more once the journal has this many entries. */
  readonly cutAt?: number;
  readonly random?: () => number;
  readonly suspends?: boolean;
  readonly confirmStarts?: boolean;
  /** Payloads of signals, by name. */
  readonly signals?: Record<string, unknown[]>;
  /** What has arrived to the journal that the run starts with. */
  readonly entries?: readonly EntryInit[];
  /** Sleeps do not end. */
  readonly sleepless?: boolean;
}

export class RecordingLink implements RunLink {
  readonly confirmStarts: boolean;
  readonly pushesWaits = true;
  readonly suspends: boolean;
  readonly journal: JournalEntry[];
  readonly outcome: Promise<Outcome>;
  readonly starts: string[] = [];
  /** The keys of waits that were closed. */
  readonly closed: string[] = [];
  /** The keys of the compensations that a clean-up started with. */
  readonly announced: string[] = [];
  /** The keys of steps whose attempt was reported as stopped. */
  readonly stopped: string[] = [];
  readonly events: { type: string; key: string }[] = [];
  reachable = true;
  run: Run | undefined;
  readonly #options: LinkOptions;
  #settle: (outcome: Outcome) => void = () => undefined;

  constructor(options: LinkOptions = {}) {
    this.#options = options;
    this.confirmStarts = options.confirmStarts ?? false;
    this.suspends = options.suspends ?? false;
    this.journal = [...(options.journal ?? [])];
    for (const entry of options.entries ?? [])
      this.journal.push(create(JournalEntrySchema, { ...entry, seq: this.journal.length + 1 }));
    this.outcome = new Promise((resolve) => {
      this.#settle = resolve;
    });
  }

  async #later(): Promise<void> {
    const { random } = this.#options;
    if (random === undefined) return;
    const ticks = Math.floor(random() * 4);
    for (let i = 0; i < ticks; i += 1) await new Promise((resolve) => setImmediate(resolve));
  }

  async #record(entry: EntryInit): Promise<JournalEntry> {
    await this.#later();
    if (this.journal.length >= (this.#options.cutAt ?? Number.POSITIVE_INFINITY)) {
      this.#settle({ kind: "cut" });
      return new Promise(() => undefined);
    }
    const full = create(JournalEntrySchema, { ...entry, seq: this.journal.length + 1 });
    this.journal.push(full);
    return full;
  }

  canStart(): boolean {
    return this.reachable;
  }

  noteStart(): void {
    // Of no interest here.
  }

  async start(request: Request<"start">) {
    const { stepKey = "", kind = StepKind.STEP, wait } = request;
    this.starts.push(stepKey);
    await this.#later();
    const directive = Directive.CONTINUE;
    if (wait === undefined) {
      const value = { attempt: 1, idempotencyKey: "" };
      return create(StepStartedResponseSchema, { outcome: { case: "execute", value }, directive });
    }
    const queue = this.#options.signals?.[wait.signalName ?? ""];
    const fires = kind === StepKind.SLEEP && this.#options.sleepless !== true;
    if (fires || (queue?.length ?? 0) > 0) {
      const payload =
        queue === undefined ? {} : { payload: payloadOf(encode(queue.shift(), "a signal")) };
      const outcome = kind === StepKind.SLEEP ? WaitOutcome.FIRED : WaitOutcome.SIGNALLED;
      void this.#record({
        type: "workflow.wait.resolved",
        stepKey,
        kind,
        outcome,
        ...payload,
      }).then((entry) => this.run?.waitResolved(entry));
    }
    const value = {
      why: StepStartedResponse_Wait_Why.WAIT,
      until: timestampFromMs(Date.now() + 3_600_000),
    };
    return create(StepStartedResponseSchema, { outcome: { case: "wait", value }, directive });
  }

  async completed(request: Request<"completed">) {
    const {
      stepKey = "",
      attempt = 1,
      kind = StepKind.STEP,
      inputDigest = "",
      definitionDigest = "",
    } = request;
    const entry = await this.#record({
      type: "workflow.step.completed",
      stepKey,
      attempt,
      kind,
      inputDigest,
      definitionDigest,
      payload: request.output ?? {},
    });
    return create(StepCompletedResponseSchema, { directive: Directive.CONTINUE, seq: entry.seq });
  }

  async failed(request: Request<"failed">) {
    const { stepKey = "", attempt = 1, kind = StepKind.STEP, failure, retryPolicy } = request;
    if (request.cancelled === true) {
      this.stopped.push(stepKey);
      const { seq } = await this.#record({
        type: "workflow.step.cancelled",
        stepKey,
        attempt,
        kind,
      });
      const value = { action: FinalAction.THROW };
      const next = { case: "final" as const, value };
      return create(StepFailedResponseSchema, { next, seq, directive: Directive.CONTINUE });
    }
    const final = failure?.nonRetryable === true || attempt >= (retryPolicy?.maxAttempts ?? 1);
    const entry = await this.#record({
      type: final ? "workflow.step.failed" : "workflow.step.retrying",
      stepKey,
      attempt,
      kind,
      failure: failure ?? {},
    });
    const { seq } = entry;
    const directive = Directive.CONTINUE;
    if (final) {
      const value = { action: FinalAction.THROW };
      return create(StepFailedResponseSchema, { next: { case: "final", value }, seq, directive });
    }
    const value = { attempt: attempt + 1, delay: { seconds: 0n, nanos: 0 } };
    return create(StepFailedResponseSchema, { next: { case: "retry", value }, seq, directive });
  }

  async closeWaits({ stepKeys = [] }: Request<"closeWaits">) {
    this.closed.push(...stepKeys);
  }

  async beginCleanUp({ compensations = [] }: Request<"beginCleanUp">) {
    this.announced.push(...compensations);
  }

  async suspend(request: Request<"suspend">) {
    this.#settle({ kind: "suspended", request });
    return create(SuspendRunResponseSchema, { resumed: false, directive: Directive.YIELD });
  }

  async complete(request: Request<"complete">) {
    await this.#record({ type: "run.completed", payload: request.output ?? {} });
    this.#settle({ kind: "completed", request });
    return create(CompleteRunResponseSchema, { directive: Directive.CONTINUE });
  }

  async fail(request: Request<"fail">) {
    await this.#record({ type: "run.failed", failure: request.failure ?? {} });
    this.#settle({ kind: "failed", request });
    return create(FailRunResponseSchema, { directive: Directive.CONTINUE });
  }

  flush(): void {
    // Nothing is gathered.
  }

  publish(_runId: string, _fence: number, event: Parameters<RunLink["publish"]>[2]): number {
    return this.events.push({ type: event.type ?? "", key: event.stepKey ?? "" });
  }

  async startRun() {
    return create(StartRunResponseSchema, { run: { runId: "child" } });
  }

  async tags() {
    return { team: "now" };
  }

  async download(): Promise<never> {
    throw new RequestError({
      reason: "NOT_FOUND",
      message: "there are no large payloads here",
      code: 5,
    });
  }

  async upload(): Promise<never> {
    throw new RequestError({
      reason: "PAYLOAD_TOO_LARGE",
      message: "there is no room for it",
      code: 3,
    });
  }

  attention(): Promise<boolean> {
    // There is no heartbeat here.
    return Promise.resolve(true);
  }

  released(): void {
    // The outcome tells.
  }
}

export function facts(over: Partial<RunFacts> = {}): RunFacts {
  return {
    runId: "run-1",
    runUid: "",
    fence: 1,
    attempt: 1,
    execution: 1,
    ownAfterSeq: 0,
    workflow: "test",
    version: "",
    tags: {},
    sessionId: "",
    userId: "",
    traceparent: "",
    parent: undefined,
    cancelling: false,
    clockAheadMs: 0,
    careful: false,
    confirmStarts: false,
    ...over,
  };
}

/** Executes a workflow over a link, from the journal that the link starts with. */
export function begin(
  link: RecordingLink,
  workflow: AnyWorkflow,
  input?: unknown,
  over: Partial<RunFacts> = {},
): Run {
  const memo = new Memo();
  memo.add(link.journal);
  const { data, encoding } = encode(input, "the input");
  const run = execute({
    facts: facts(over),
    workflow,
    link,
    memo,
    input: { data, encoding },
    logger: silentLogger,
  });
  link.run = run;
  return run;
}
