import { StepKind } from "@pawl/proto";
import type { Duration } from "../duration.ts";
import { AmbiguousStepKeyError, UsageError } from "../errors.ts";
import { uuidv7 } from "../lib/ids.ts";
import { type EventPlace, publish } from "../run/events.ts";
import { checkName, type Namespace } from "../run/keys.ts";
import type { Run } from "../run/run.ts";
import type { Scope } from "../run/scope.ts";
import { StepOperation } from "../run/step.ts";
import type { StepBody, StepCall } from "../run/step-body.ts";
import { defaultSettings, type StepOptions } from "../run/step-settings.ts";
import { WaitOperation } from "../run/wait.ts";
import type { AnyStep } from "../step.ts";
import { askApproval } from "./approval.ts";
import { mapItems, runBranches, settle } from "./branches.ts";
import { openCallback } from "./callback.ts";
import { childCall, childKey, childName } from "./child.ts";
import { contexts } from "./current.ts";
import type { ApprovalOptions, CallbackOptions } from "./question-types.ts";
import { type AskOptions, askUser } from "./questions.ts";
import { openSignals } from "./signals.ts";
import { spawnChild } from "./spawn.ts";
import { parseStepCall } from "./step-call.ts";
import type { ChildOptions, Context, EmitOptions, MapOptions } from "./types.ts";
import { awaitSignal, sleepFor, sleepUntil } from "./wait-calls.ts";
import type { CronTime, SignalOptions, SignalsOptions, SleepOptions } from "./wait-types.ts";

function ignore(): void {
  // Whether user code listens to a promise or not is its own affair, and no reason to end the process.
}

/** Wrong use rejects, as everything else that can go wrong. */
export function guarded(start: () => Promise<unknown>): Promise<never> {
  let promise: Promise<unknown>;
  try {
    promise = start();
  } catch (error) {
    promise = Promise.reject(error);
  }
  promise.catch(ignore);
  // Each public signature says what it resolves to.
  return promise as Promise<never>;
}

/** What all contexts of a run share. */
export interface RunBase {
  readonly run: Run;
  /** Defaults for the steps of this workflow. */
  readonly stepDefaults: StepOptions | undefined;
}

export class RunContext implements Context {
  readonly #base: RunBase;
  readonly #ownScope: Scope | undefined;
  readonly #body: StepBody | undefined;
  /** The event that opened the span around it. */
  readonly spanId: string | undefined;

  /** For a scope, or for the body of a step, whose scope is made when it is needed. */
  constructor(base: RunBase, place: Scope | undefined, body?: StepBody, spanId?: string) {
    this.#base = base;
    this.#ownScope = place;
    this.#body = body;
    this.spanId = spanId;
  }

  // ── who and where ──

  get #run(): Run {
    return this.#base.run;
  }

  get scopeHere(): Scope {
    return this.#ownScope ?? this.#body?.scope ?? this.#run.root;
  }

  /** The innermost context that the caller is in, if it is this one or within it. */
  get #here(): RunContext {
    const active = contexts.getStore();
    if (active === undefined || active === this || active.base.run !== this.#run) return this;
    return active.scopeHere.isWithin(this.scopeHere) ? active : this;
  }

  /** Runs code in a scope below this one. */
  async enter<R>(scope: Scope, fn: (ctx: Context) => R): Promise<Awaited<R>> {
    const context = new RunContext(this.#base, scope, this.#body, this.spanId);
    return await contexts.run(context, fn, context);
  }

  get base(): RunBase {
    return this.#base;
  }

  get stepBody(): StepBody | undefined {
    return this.#body;
  }

  get runId(): string {
    return this.#run.runId;
  }
  get workflow(): string {
    return this.#run.facts.workflow;
  }
  get runAttempt(): number {
    return this.#run.facts.attempt;
  }
  get tags(): Readonly<Record<string, string>> {
    return this.#run.facts.tags;
  }
  get sessionId(): string {
    return this.#run.facts.sessionId;
  }
  get userId(): string {
    return this.#run.facts.userId;
  }
  get traceparent(): string {
    return this.#run.facts.traceparent;
  }
  get abortSignal(): AbortSignal {
    return this.#run.abortSignal(this.#here.scopeHere);
  }

  // ── steps ──

  step(...call: unknown[]): Promise<never> {
    return guarded(() => this.#step(parseStepCall(call, this.#base.stepDefaults)));
  }

  /** A step made by `step()` that was called directly. */
  stepOf(definition: AnyStep, args: readonly unknown[]): Promise<unknown> {
    return guarded(() => this.#step(parseStepCall([definition, ...args], this.#base.stepDefaults)));
  }

  /** The key of the next use of that name here, and the scope that it counts in. */
  claim(
    namespace: Namespace,
    name: string,
    key: string | undefined,
  ): { scope: Scope; key: string } {
    const scope = this.#here.scopeHere;
    try {
      return { scope, key: scope.claim(namespace, name, key) };
    } catch (error) {
      // Nothing that user code catches may hide it: on another day it would pass.
      if (error instanceof AmbiguousStepKeyError) void this.#run.end(error);
      throw error;
    }
  }

  #step(call: StepCall): Promise<unknown> {
    const { scope, key } = this.claim(
      call.kind === StepKind.VALUE ? "value:" : "",
      call.name,
      call.settings.key,
    );
    return new StepOperation(this.#run, scope, key, call).open();
  }

  #value(name: string, body: () => unknown): Promise<unknown> {
    return this.#step({
      name,
      kind: StepKind.VALUE,
      body,
      args: [],
      settings: defaultSettings,
      inputDigest: "",
      input: undefined,
    });
  }

  now(): Promise<number> {
    return guarded(() => this.#value("now", () => Date.now()));
  }
  random(): Promise<number> {
    return guarded(() => this.#value("random", () => Math.random()));
  }
  currentTags(): Promise<Readonly<Record<string, string>>> {
    return guarded(() => this.#value("tags", () => this.#run.link.tags(this.runId)));
  }
  uuid(): Promise<string> {
    return guarded(() => this.#value("uuid", () => globalThis.crypto.randomUUID()));
  }

  // ── branches ──

  all(branches: unknown): Promise<never> {
    return guarded(() => runBranches(this.#here, "all", branches));
  }
  allSettled(branches: unknown): Promise<never> {
    return guarded(() => runBranches(this.#here, "allSettled", branches));
  }
  race(branches: unknown): Promise<never> {
    return guarded(() => runBranches(this.#here, "race", branches));
  }

  map<T, R>(
    name: string,
    items: Iterable<T>,
    ...rest:
      | [options: MapOptions<T>, fn: (item: T, ctx: Context, index: number) => R]
      | [fn: (item: T, ctx: Context, index: number) => R]
  ): Promise<Awaited<R>[]> {
    const [options, fn] = rest.length === 2 ? rest : [{}, rest[0]];
    return guarded(() => {
      checkName("ctx.map", name);
      if (typeof fn !== "function") {
        throw new UsageError(`ctx.map("${name}") needs a function to run for each item`);
      }
      return mapItems(this.#here, name, [...items], options, fn);
    });
  }

  mapSettled<T, R>(
    name: string,
    items: Iterable<T>,
    ...rest:
      | [options: MapOptions<T>, fn: (item: T, ctx: Context, index: number) => R]
      | [fn: (item: T, ctx: Context, index: number) => R]
  ): Promise<PromiseSettledResult<Awaited<R>>[]> {
    const [options, fn] = rest.length === 2 ? rest : [{}, rest[0]];
    const settled = async (item: T, ctx: Context, index: number) =>
      settle(() => fn(item, ctx, index));
    return this.map(name, items, options, typeof fn === "function" ? settled : fn);
  }

  scope<R>(name: string, fn: (ctx: Context) => R): Promise<Awaited<R>> {
    return guarded(() => this.#runScope(name, fn, "scope:"));
  }

  async #runScope<R>(
    name: string,
    fn: (ctx: Context) => R,
    namespace: "scope:" | "cleanup:",
  ): Promise<Awaited<R>> {
    checkName("a scope", name);
    const here = this.#here.scopeHere;
    const segment = here.claimSegment(namespace, name, undefined);
    const inner = namespace === "cleanup:" ? here.shield(segment) : here.child(segment);
    const uses = here.enter(inner.prefix);
    try {
      return await this.enter(inner, fn);
    } finally {
      here.leave(uses);
    }
  }

  cleanup<R>(fn: (ctx: Context) => R, name = "cleanup"): Promise<Awaited<R>> {
    return guarded(() => this.#runScope(name, fn, "cleanup:"));
  }

  compensate(...call: unknown[]): void {
    const parsed = parseStepCall(call, this.#base.stepDefaults);
    const { scopeHere: scope } = this.#here;
    if (scope.insideStep) {
      throw new UsageError(
        `ctx.compensate("${parsed.name}") inside of a step would be forgotten in a replay; call it in the workflow, before or after the step`,
      );
    }
    const { key } = this.claim("compensate:", parsed.name, parsed.settings.key);
    this.#run.compensations.register(key, parsed);
  }

  // ── waits ──

  sleep(duration: Duration, options: SleepOptions = {}): Promise<void> {
    return guarded(() => sleepFor(this.#here, duration, options));
  }

  sleepUntil(moment: Date | number | CronTime, options: SleepOptions = {}): Promise<void> {
    return guarded(() => sleepUntil(this.#here, moment, options));
  }

  signal(name: string, options: SignalOptions<unknown> = {}): Promise<never> {
    return guarded(() => awaitSignal(this.#here, name, options));
  }

  signals(name: string, options: SignalsOptions = {}): AsyncIterableIterator<never> {
    return openSignals(this.#here, name, options);
  }

  waitForUser(question: string, options: AskOptions = {}): Promise<never> {
    return guarded(() => askUser(this.#here, question, options));
  }

  approval(question: string, options: ApprovalOptions): Promise<never> {
    return guarded(() => askApproval(this.#here, question, options));
  }

  callback(name = "callback", options: CallbackOptions<unknown> = {}): Promise<never> {
    return guarded(() => openCallback(this.#here, name, options));
  }

  child(workflow: unknown, input: unknown, options: ChildOptions = {}): Promise<never> {
    return guarded(() => {
      const name = childName("ctx.child", workflow);
      const { scope, key: stepKey } = this.claim("child:", name.name, childKey(options));
      const call = childCall({ run: this.#run, scope, stepKey, ...name, input, options });
      const operation = new WaitOperation(this.#run, scope, stepKey, call);
      return operation.open();
    });
  }

  spawn(workflow: unknown, input: unknown, options: ChildOptions = {}): Promise<never> {
    return guarded(() => {
      const name = childName("ctx.spawn", workflow);
      const { scope, key: start } = this.claim("spawn:", name.name, childKey(options));
      const { key: wait } = this.claim("child:", name.name, childKey(options));
      const keys = { start, wait };
      return spawnChild({ run: this.#run, scope, keys, ...name, input, options });
    });
  }

  // ── live output ──

  /** Where what is sent here belongs: to the span around it, or the branch within the step. */
  placeHere(options: EmitOptions = {}): EventPlace {
    const { scopeHere, stepBody: body, spanId } = this.#here;
    const { prefix } = scopeHere;
    const isStep = body === undefined ? prefix === "" : prefix === `${body.operation.key}/`;
    const scopeId = isStep ? undefined : `${this.runId}/${prefix.slice(0, -1)}`;
    const { parent = spanId ?? scopeId, id, contentIndex, keep } = options;
    return { body, parentEventId: parent, eventId: id, contentIndex, keep };
  }

  emit(type: string, data?: unknown, options?: EmitOptions): void {
    checkName("an event type", type);
    publish(this.#run, type, data, this.placeHere(options));
  }
  progress(done: number, total?: number, note?: string): void {
    const counted = total === undefined ? { done } : { done, total };
    this.emit("progress", note === undefined ? counted : { ...counted, note });
  }
  log(level: "debug" | "info" | "warn" | "error", message: string, data?: unknown): void {
    const line = data === undefined ? { level, message } : { level, message, data };
    this.emit("log", line, { keep: "durable" });
  }

  /** The same place, within a span. */
  inSpan(id: string): RunContext {
    const { scopeHere, stepBody } = this.#here;
    return new RunContext(this.#base, scopeHere, stepBody, id);
  }

  span<R>(type: string, fn: () => R, data?: unknown): Promise<Awaited<R>> {
    return guarded(() => this.#runSpan(type, fn, data));
  }

  async #runSpan<R>(type: string, fn: () => R, data: unknown): Promise<Awaited<R>> {
    const id = `${this.runId}/span-${uuidv7()}`;
    this.emit(`${type}.started`, data, { id });
    const inner = this.inSpan(id);
    try {
      return await contexts.run(inner, fn);
    } finally {
      contexts.run(inner, () => inner.emit(`${type}.completed`));
    }
  }
}
