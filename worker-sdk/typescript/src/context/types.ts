import type { Reduce, StepOptions } from "../run/step-settings.ts";
import type { EmitOptions, StreamEvent } from "../run/stream-event.ts";
import type { StepFunction } from "../step-types.ts";
import type { ModelCall } from "../telemetry/model-call.ts";
import type { AnyWorkflow, Workflow } from "../workflow-types.ts";
import type { WaitCalls } from "./wait-types.ts";

/** What an agent among the items tells as its output. */
type OutputOf<Item> =
  Item extends StreamEvent<"agent.completed", { readonly output: infer Output }> ? Output : never;

/** Items that make the result: all but events. */
type Plain<Item> = Exclude<Item, StreamEvent>;

/** What a stream's items are reduced to where nothing is said: an agent's output, or a text. */
export type StreamResult<Item> = [OutputOf<Item>] extends [never]
  ? Plain<Item> extends string
    ? string
    : never
  : OutputOf<Item>;

/** What a step's body makes: the value it returns, or what its items are reduced to. */
export type StepResult<R, O> =
  Awaited<R> extends AsyncIterable<infer Item>
    ? O extends { readonly reduce: "collect" }
      ? Plain<Item>[]
      : O extends { readonly reduce: "last" }
        ? Plain<Item> | undefined
        : O extends { readonly reduce: (items: Plain<Item>[]) => infer Result }
          ? Result
          : O extends { readonly reduce: "join" }
            ? string
            : StreamResult<Item>
    : Awaited<R>;

type Thunk = (ctx: Context) => unknown;

/** The results of branches, under the branches' names or in their order. */
export type BranchResults<B> = {
  -readonly [K in keyof B]: B[K] extends (ctx: Context) => infer R ? Awaited<R> : never;
};
/** The outcomes of branches, as `Promise.allSettled` returns them. */
export type BranchOutcomes<B> = {
  -readonly [K in keyof B]: B[K] extends (ctx: Context) => infer R
    ? PromiseSettledResult<Awaited<R>>
    : never;
};

type Branches = Readonly<Record<string, Thunk>> | readonly Thunk[];

export interface MapOptions<T> {
  /**
   * Returns the key of an item, which names the item's scope; unique within the list. Default: the
   * item's index. Set it if the list can change between two executions of the run: with an index, the
   * recorded results of one item would be used for another.
   */
  readonly key?: (item: T, index: number) => string | number;
  /**
   * The maximum number of items that are processed at the same time. Default: all, because a waiting
   * item costs little. Set it to protect a service that `fn` calls; the limit applies to this call only,
   * so use the workflow's `concurrency` for a limit across runs.
   */
  readonly concurrency?: number;
}

export interface ChildOptions {
  /**
   * The child's run id. Default: derived from this run's id and the step's key, so that a replay finds
   * the same child. An id that another run has is an error (RUN_EXISTS).
   */
  readonly runId?: string;
  /** Distinguishes several children of one workflow, such as by an order's id. Default: their order. */
  readonly key?: string | number;
  /** The queue of the child. Default: the queue of its workflow. */
  readonly queue?: string;
  /** 0 to 9; runs with a higher priority start first. Default: 5, the middle. */
  readonly priority?: number;
  /** At most 64 tags. Default: none; a child does not inherit tags. */
  readonly tags?: Readonly<Record<string, string>>;
  /**
   * What happens to the child if this run ends first, in whatever way: `cancel` cancels it, with a grace
   * period of 10 s for its cleanup; `abandon` lets it continue. Default: `cancel`, so that a cancelled run
   * leaves nothing behind. Use `abandon` for work that must complete on its own.
   */
  readonly parentClose?: "cancel" | "abandon";
}

/** A child run in the background. */
export interface ChildHandle<O> {
  readonly runId: string;
  /** Waits for the child's end and returns its result. Throws StepFailedError if it failed. */
  result(): Promise<O>;
}

/** How `ctx.step` can be called. */
export interface StepCaller {
  /**
   * Runs `body` and records its result under `name`. In every later execution of the run the recorded
   * result is returned, and `body` does not run.
   *
   * A step runs at least once. If the worker crashes after `body` has returned and before the server has
   * recorded the result, `body` runs again, with a higher `attempt`. Make effects idempotent: pass the
   * step context's `idempotencyKey`, which is the same for all attempts, to the service that you call. For
   * an effect that must not happen twice and has no idempotency key, use `recovery: "at_most_once"`.
   *
   * The body gets its own context with `attempt`, `idempotencyKey` and `abortSignal`. Its result must be
   * JSON or one of the types that the SDK encodes (dates, bytes, bigint, Map, Set, errors), at most 32 MiB.
   *
   * Failed attempts are retried according to `retry`; the default is no retry.
   *
   * @throws StepFailedError if the step has failed permanently; the same error in every replay
   * @throws Cancelled if the step's branch or run ends
   * @example
   * const receipt = await ctx.step("charge", ({ idempotencyKey }) =>
   *   payments.charge(order.amount, { idempotencyKey }), { retry: 5, timeout: "30 s" });
   */
  <R, const O extends StepOptions & { readonly reduce?: unknown } = StepOptions>(
    name: string,
    body: (ctx: StepContext) => R,
    options?: O & { readonly reduce?: Reduce },
  ): Promise<StepResult<R, O>>;
  /**
   * The same for a function with arguments. A digest of the arguments is recorded; if it differs in a
   * replay, the run is paused with NON_DETERMINISM.
   */
  <A extends readonly unknown[], R, const O extends StepOptions = StepOptions>(
    name: string,
    body: (...args: A) => R,
    args: readonly [...A],
    options?: O,
  ): Promise<StepResult<R, O>>;
  /** Runs a step that `step()` defined, with its name and options, and the given arguments. */
  <A extends unknown[], R>(step: StepFunction<A, R>, ...args: A): Promise<R>;
  /** Runs a function as a step with the function's name. */
  <A extends unknown[], R>(
    body: (...args: A) => R,
    ...args: A
  ): Promise<StepResult<R, StepOptions>>;
}

/** How `ctx.compensate` can be called: like `ctx.step`, and with the same options. */
export interface CompensateCaller {
  (name: string, body: (ctx: StepContext) => unknown, options?: StepOptions): void;
  <A extends readonly unknown[]>(
    name: string,
    body: (...args: A) => unknown,
    args: readonly [...A],
    options?: StepOptions,
  ): void;
  <A extends unknown[], R>(step: StepFunction<A, R>, ...args: A): void;
  <A extends unknown[]>(body: (...args: A) => unknown, ...args: A): void;
}

/**
 * The durable operations of a workflow. Every method finds the scope in which it is called (through async
 * context), so a `ctx` of an outer scope also works in branches, steps and helper functions.
 */
export interface Context extends WaitCalls {
  readonly runId: string;
  readonly workflow: string;
  /** How many times the run has been leased, counted from 1. It differs between executions. */
  readonly runAttempt: number;
  /** The tags that the run was started with, the same in every replay. See `currentTags` for changes. */
  readonly tags: Readonly<Record<string, string>>;
  readonly sessionId: string;
  readonly userId: string;
  /** The W3C trace context that the run was started with; may be empty. */
  readonly traceparent: string;
  /**
   * Aborts when the run is cancelled or moves to another worker, or when the surrounding branch or step
   * ends early. Pass it to everything that can be stopped.
   */
  readonly abortSignal: AbortSignal;

  readonly step: StepCaller;

  /**
   * Runs branches concurrently, each in its own scope, and returns their results. If one fails, the others
   * are aborted, and its error is thrown after they have ended.
   */
  all<const B extends Branches>(branches: B): Promise<BranchResults<B>>;
  /** Runs branches concurrently and returns the outcome of each. A failing branch does not abort others. */
  allSettled<const B extends Branches>(branches: B): Promise<BranchOutcomes<B>>;
  /**
   * Runs branches concurrently and returns the result of the first one to end, or throws its error. The
   * others are aborted, and their waits are closed.
   */
  race<const B extends Branches>(
    branches: B,
  ): Promise<BranchResults<B>[keyof B & (B extends readonly unknown[] ? number : string)]>;
  /**
   * Runs `fn` for each item, in a scope named by the item's key, and returns the results in the order of
   * the items. If one fails, the others are aborted, as with `all`.
   */
  map<T, R>(
    name: string,
    items: Iterable<T>,
    options: MapOptions<T>,
    fn: (item: T, ctx: Context, index: number) => R,
  ): Promise<Awaited<R>[]>;
  map<T, R>(
    name: string,
    items: Iterable<T>,
    fn: (item: T, ctx: Context, index: number) => R,
  ): Promise<Awaited<R>[]>;
  /** Like `map`, but returns the outcome of each item; an item that fails does not abort the others. */
  mapSettled<T, R>(
    name: string,
    items: Iterable<T>,
    options: MapOptions<T>,
    fn: (item: T, ctx: Context, index: number) => R,
  ): Promise<PromiseSettledResult<Awaited<R>>[]>;
  mapSettled<T, R>(
    name: string,
    items: Iterable<T>,
    fn: (item: T, ctx: Context, index: number) => R,
  ): Promise<PromiseSettledResult<Awaited<R>>[]>;
  /** Runs `fn` in its own scope, so that its steps do not share names with the steps around it. */
  scope<R>(name: string, fn: (ctx: Context) => R): Promise<Awaited<R>>;

  /**
   * Runs `fn` in a scope whose steps are executed even if the surrounding branch has ended or the run is
   * being cancelled; for `finally` blocks. A cancelled run has its grace period for the cleanup.
   */
  cleanup<R>(fn: (ctx: Context) => R, name?: string): Promise<Awaited<R>>;
  /**
   * Registers a compensation, which undoes a step if the workflow later fails, times out or is cancelled.
   * Then all registered compensations run as steps, the latest first, each until it has succeeded; like
   * other steps they run at least once. One that fails permanently is reported with the original error, and
   * the others still run. If the workflow returns, none runs.
   *
   * Register it after its step to run it only if the step was recorded. Register it before its step to run
   * it also if the step may have had its effect without a record; it must then tolerate that there is
   * nothing to undo.
   */
  readonly compensate: CompensateCaller;

  /** Returns the time in ms since the epoch. It is recorded, so it is the same in every replay. */
  now(): Promise<number>;
  /** Returns a random number of at least 0 and below 1. It is recorded. */
  random(): Promise<number>;
  /** Returns a random UUID. It is recorded. */
  uuid(): Promise<string>;
  /** Returns the current tags of the run, including changes since its start. They are recorded. */
  currentTags(): Promise<Readonly<Record<string, string>>>;

  /**
   * Starts a child run, waits for its end and returns its result. If its workflow is not registered yet,
   * the child waits for a worker. @throws StepFailedError if the child failed
   */
  child<I, O>(workflow: Workflow<I, O>, input: I, options?: ChildOptions): Promise<O>;
  child(workflow: string, input: unknown, options?: ChildOptions): Promise<unknown>;
  /**
   * Starts a child run in the background. `result()` of the handle waits for it. If this run ends first, the
   * child is cancelled; with `{ parentClose: "abandon" }` it continues.
   */
  spawn<I, O>(workflow: Workflow<I, O>, input: I, options?: ChildOptions): Promise<ChildHandle<O>>;
  spawn(workflow: string, input: unknown, options?: ChildOptions): Promise<ChildHandle<unknown>>;

  /**
   * Sends live output to watchers of the run. It is not recorded in the journal, never delays the code, and
   * may be dropped if the server does not keep up. At most 256 KiB.
   */
  emit(type: string, data?: unknown, options?: EmitOptions): void;
  /** Sends the event `progress`. A watcher that connects later sees only the latest one. */
  progress(done: number, total?: number, note?: string): void;
  /** Sends the event `log`, which is kept as long as the run. */
  log(level: "debug" | "info" | "warn" | "error", message: string, data?: unknown): void;
  /**
   * Runs `fn` between the events `<type>.started`, with `data`, and `<type>.completed`. Events that code in
   * `fn` sends name the first one as their parent, even if several spans run concurrently.
   */
  span<R>(type: string, fn: () => R, data?: unknown): Promise<Awaited<R>>;
}

/** The context of a step's body. The keys of nested steps start with the key of this step. */
export interface StepContext extends Context {
  readonly stepKey: string;
  /** The number of the attempt, counted from 1. It may skip numbers after a crash. */
  readonly attempt: number;
  /**
   * Identical for all attempts of this step and different for every other step of any run. Pass it to
   * payment or model APIs, so that an attempt that is repeated after a crash has no second effect.
   */
  readonly idempotencyKey: string;
  /**
   * Sends the items of a stream as live output of this step, events under their own types, and returns
   * what they reduce to, as the step itself would. Concurrent streams are identified by their content
   * index, counted from 1 in the order of the calls; the items that the body itself yields have 0.
   */
  stream<T>(items: AsyncIterable<T>): Promise<StreamResult<T>>;
  stream<T, const O extends { readonly reduce: Reduce }>(
    items: AsyncIterable<T>,
    options: O & { readonly reduce: Reduce },
  ): Promise<StepResult<AsyncIterable<T>, O>>;
  /**
   * Records a model call on the step's span; the tokens of several calls are added up. Does nothing without
   * tracing.
   */
  modelCall(call: ModelCall): void;
}

export type { AnyWorkflow, EmitOptions };
