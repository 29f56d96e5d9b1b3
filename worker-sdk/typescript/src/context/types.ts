import type { Reduce, StepOptions } from "../run/step-settings.ts";
import type { EmitOptions, StreamEvent } from "../run/stream-event.ts";
import type { StepFunction } from "../step.ts";
import type { ModelCall } from "../telemetry/model-call.ts";
import type { AnyWorkflow, Workflow } from "../workflow.ts";
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
type BranchOutcomes<B> = {
  -readonly [K in keyof B]: B[K] extends (ctx: Context) => infer R
    ? PromiseSettledResult<Awaited<R>>
    : never;
};

type Branches = Readonly<Record<string, Thunk>> | readonly Thunk[];

export interface MapOptions<T> {
  /**
   * Names each item's scope, so that its steps stay its own when the list
   * changes. Default: the item's index. Unique within the list.
   */
  readonly key?: (item: T, index: number) => string | number;
  /** Items under way at the same time. Default: all. */
  readonly concurrency?: number;
}

export interface ChildOptions {
  /** Default: derived from this run's id and the step's key. */
  readonly runId?: string;
  /** Tells several children of one workflow apart by what they are about. */
  readonly key?: string | number;
  readonly queue?: string;
  /** 0 to 9, higher first. Default: 5. */
  readonly priority?: number;
  readonly tags?: Readonly<Record<string, string>>;
  /**
   * What becomes of the child when this run ends before it, however that ends: `cancel` cancels it,
   * with the usual grace; `abandon` lets it continue. Default: `cancel`.
   */
  readonly parentClose?: "cancel" | "abandon";
}

/** A child that runs beside its parent. */
export interface ChildHandle<O> {
  readonly runId: string;
  /** Waits for its end and returns its result. Throws StepFailedError. */
  result(): Promise<O>;
}

/** How `ctx.step` can be called. */
export interface StepCaller {
  /**
   * Runs `body` once and records its result under `name`; from then on the result
   * is replayed. The body gets the step's own context.
   *
   * Throws StepFailedError when the step has failed finally, Cancelled when its
   * branch or run ends.
   */
  <R, const O extends StepOptions & { readonly reduce?: unknown } = StepOptions>(
    name: string,
    body: (ctx: StepContext) => R,
    options?: O & { readonly reduce?: Reduce },
  ): Promise<StepResult<R, O>>;
  /** The same for a function with arguments: they are digested, and may not change in a replay. */
  <A extends readonly unknown[], R, const O extends StepOptions = StepOptions>(
    name: string,
    body: (...args: A) => R,
    args: readonly [...A],
    options?: O,
  ): Promise<StepResult<R, O>>;
  /** A step made by `step()`, with its own name and options, and its arguments. */
  <A extends unknown[], R>(step: StepFunction<A, R>, ...args: A): Promise<R>;
  /** A function; the step has its name. */
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
 * What a workflow does through Pawl. Every method finds the scope it is called
 * in by itself (by async context), so a `ctx` of an outer scope can be used in
 * branches, steps and helper functions alike.
 */
export interface Context extends WaitCalls {
  readonly runId: string;
  readonly workflow: string;
  /** How often the run has been leased out, from 1. */
  readonly runAttempt: number;
  /** Those that the run was started with, the same in every replay. */
  readonly tags: Readonly<Record<string, string>>;
  readonly sessionId: string;
  readonly userId: string;
  /** W3C trace context that the run was started with; may be empty. */
  readonly traceparent: string;
  /** Aborts when the run is cancelled or taken away, or the branch or step around it ends early. */
  readonly abortSignal: AbortSignal;

  readonly step: StepCaller;

  /**
   * Runs branches concurrently, each in a scope of its own. When one fails the
   * others are aborted, and its error is thrown once they have ended.
   */
  all<const B extends Branches>(branches: B): Promise<BranchResults<B>>;
  /** Runs branches concurrently and reports each how it ended. */
  allSettled<const B extends Branches>(branches: B): Promise<BranchOutcomes<B>>;
  /** The first branch to end decides; the others are aborted. */
  race<const B extends Branches>(
    branches: B,
  ): Promise<BranchResults<B>[keyof B & (B extends readonly unknown[] ? number : string)]>;
  /** Runs `fn` for each item, in a scope named by the item; results are in the items' order. */
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
  /** As `map`, and reports each item how it ended: one that fails aborts none of the others. */
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
  /** Runs `fn` in a scope of its own: its steps are named apart from those around it. */
  scope<R>(name: string, fn: (ctx: Context) => R): Promise<Awaited<R>>;

  /**
   * Runs `fn` in a scope whose steps are executed although the branch around it has ended, or the
   * run is being cancelled: for `finally` blocks. A cancelled run has its grace for it.
   */
  cleanup<R>(fn: (ctx: Context) => R, name?: string): Promise<Awaited<R>>;
  /**
   * Registers what undoes a step, for the case that the workflow fails or is cancelled. Then all
   * that are registered run as steps, the latest first, each until it has succeeded once; one that
   * fails finally is reported with the original error, and the others still run. A run that
   * completes runs none. Registered after its step, it runs only if the step was recorded;
   * registered before it, also where nobody knows whether the step had its effect.
   */
  readonly compensate: CompensateCaller;

  /** The time, recorded: the same in every replay. In ms since the epoch. */
  now(): Promise<number>;
  /** A random number from 0 on and below 1, recorded. */
  random(): Promise<number>;
  /** A random UUID, recorded. */
  uuid(): Promise<string>;
  /** The tags that the run has at this moment, changes since its start included; recorded. */
  currentTags(): Promise<Readonly<Record<string, string>>>;

  /** Starts a child run, waits for its end and returns its result. Throws StepFailedError. */
  child<I, O>(workflow: Workflow<I, O>, input: I, options?: ChildOptions): Promise<O>;
  child(workflow: string, input: unknown, options?: ChildOptions): Promise<unknown>;
  /**
   * Starts a child run and continues beside it. Its end is not waited for, unless `result()` is: with
   * `{ parentClose: "abandon" }` it is on its own, else it is cancelled when this run ends before it.
   */
  spawn<I, O>(workflow: Workflow<I, O>, input: I, options?: ChildOptions): Promise<ChildHandle<O>>;
  spawn(workflow: string, input: unknown, options?: ChildOptions): Promise<ChildHandle<unknown>>;

  /** Sends live output; not recorded, and never waited for. */
  emit(type: string, data?: unknown, options?: EmitOptions): void;
  progress(done: number, total?: number, note?: string): void;
  /** Kept as long as the run's journal. */
  log(level: "debug" | "info" | "warn" | "error", message: string, data?: unknown): void;
  /**
   * Runs `fn` between the events `<type>.started`, with `data`, and `<type>.completed`. What is
   * sent meanwhile by the code in it names the first one as its parent, also where several such
   * run at once.
   */
  span<R>(type: string, fn: () => R, data?: unknown): Promise<Awaited<R>>;
}

/** What the body of a step gets. Steps that it asks for are named below its own key. */
export interface StepContext extends Context {
  readonly stepKey: string;
  /** From 1. */
  readonly attempt: number;
  /** The same for every attempt of this step: hand it to payment or model APIs. */
  readonly idempotencyKey: string;
  /**
   * Sends the items of a stream as live output of this step, events under their own types, and
   * returns what they reduce to, as the step itself would. Several at once are distinguished by their
   * content index, 1 and up in the order of the calls; what the body itself yields has 0.
   */
  stream<T>(items: AsyncIterable<T>): Promise<StreamResult<T>>;
  stream<T, const O extends { readonly reduce: Reduce }>(
    items: AsyncIterable<T>,
    options: O & { readonly reduce: Reduce },
  ): Promise<StepResult<AsyncIterable<T>, O>>;
  /**
   * Notes on the step's span which model it called, and what that took; tokens of several calls add
   * up. Does nothing where there is no tracing.
   */
  modelCall(call: ModelCall): void;
}

export type { AnyWorkflow, EmitOptions };
