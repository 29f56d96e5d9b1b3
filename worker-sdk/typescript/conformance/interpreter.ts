/** Runs the programs of conformance cases through the public interface of the SDK. */
import { appendFileSync, existsSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import {
  type Context,
  constant,
  exponential,
  linear,
  type Retry,
  type StepContext,
  type Workflow,
} from "@pawl/worker";
import { failureOf, makeError } from "./errors.ts";
import { approve, ask, openCallback, resultOf, sleepUntil } from "./outside.ts";
import { Scope, toJson } from "./values.ts";

export interface Environment {
  readonly folder: string;
  readonly queue: string;
  readonly deploy: number;
  /** What children run where there is no server to find them; else they are known by their names. */
  readonly workflow?: Workflow<Input, unknown>;
}

export interface Operation {
  readonly op: string;
  readonly [field: string]: unknown;
}

export type Block = readonly Operation[];

export interface Input {
  readonly programs: readonly Block[];
}

/** What a block came to; `returned` ends the lists around it, too, where they are of `try` and `repeat`. */
interface Ended {
  readonly returned: boolean;
  readonly value: unknown;
}

export async function runProgram(
  environment: Environment,
  ctx: Context,
  { programs }: Input,
): Promise<unknown> {
  const program = programs[Math.min(environment.deploy, programs.length - 1)] ?? [];
  return toJson(
    (await new Interpreter(environment, ctx.runId).block(ctx, program, new Scope())).value,
  );
}

class Interpreter {
  readonly #environment: Environment;
  readonly #runId: string;

  constructor(environment: Environment, runId: string) {
    this.#environment = environment;
    this.#runId = runId;
  }

  async block(ctx: Context, block: Block, scope: Scope): Promise<Ended> {
    for (const operation of block) {
      const ended = await this.#operation(ctx, operation, scope);
      if (ended?.returned) return ended;
    }
    return { returned: false, value: null };
  }

  async #operation(ctx: Context, operation: Operation, scope: Scope): Promise<Ended | undefined> {
    switch (operation.op) {
      case "return":
        return { returned: true, value: scope.evaluate(operation.value) };
      case "try":
        return this.#try(ctx, operation, scope);
      case "repeat":
        return this.#repeat(ctx, operation, scope);
      case "throw":
        throw makeError(operation);
      case "effect":
        this.#effect(text(operation.name));
        return undefined;
      case "crash":
        this.#crash(text(operation.label));
        return undefined;
      case "compensate":
        ctx.compensate(
          text(operation.name),
          (inner: StepContext) =>
            this.#body(inner, operation, scope.inStep(inner), text(operation.name)),
          stepOptions(operation, scope),
        );
        return undefined;
      case "signals":
        return this.#signals(ctx, operation, scope);
      case "emit":
        ctx.emit(text(operation.type), scope.evaluate(operation.data));
        return undefined;
      default:
        scope.set(operation.as, await this.#wait(ctx, operation, scope));
        return undefined;
    }
  }

  /** The operations that have a result. */
  #wait(ctx: Context, operation: Operation, scope: Scope): Promise<unknown> {
    const value = async (inner: Context, block: unknown, within = scope): Promise<unknown> =>
      (await this.block(inner, block as Block, within)).value;
    const branches = (): Record<string, (inner: Context) => Promise<unknown>> =>
      Object.fromEntries(
        Object.entries(operation.branches as Record<string, Block>).map(([name, block]) => [
          name,
          (inner: Context) => value(inner, block),
        ]),
      );
    switch (operation.op) {
      case "step":
        return this.#step(ctx, operation, scope);
      case "all":
        return ctx.all(branches());
      case "race":
        return ctx.race(branches());
      case "allSettled":
        return this.#allSettled(ctx, branches());
      case "map":
        return this.#map(ctx, operation, scope);
      case "scope":
        return ctx.scope(text(operation.name), (inner) => value(inner, operation.do));
      case "sleep":
        return ctx.sleep(Number(operation.ms), named(operation));
      case "cleanup":
        return ctx.cleanup((inner) => value(inner, operation.do));
      case "sleepUntil":
        return sleepUntil(ctx, operation);
      case "signal":
        return ctx.signal(text(operation.name), {
          ...("timeoutMs" in operation ? { timeout: Number(operation.timeoutMs) } : {}),
          ...("default" in operation ? { default: scope.evaluate(operation.default) } : {}),
        });
      case "ask":
        return ask(ctx, operation, scope);
      case "approval":
        return approve(ctx, operation, scope);
      case "callback":
        return openCallback(ctx, operation, scope, this.#environment.folder);
      case "result":
        return resultOf(scope.evaluate({ $: operation.of }));
      case "child":
        return this.#child(ctx, operation);
      case "spawn":
        return this.#spawn(ctx, operation);
      case "recorded":
        return operation.what === "now"
          ? ctx.now()
          : operation.what === "random"
            ? ctx.random()
            : ctx.uuid();
      default:
        throw makeError({ type: "UnknownOperation", message: operation.op, nonRetryable: true });
    }
  }

  async #spawn(ctx: Context, { programs, abandon, awaits }: Operation): Promise<unknown> {
    const { queue, workflow } = this.#environment;
    const options = abandon === true ? { queue, parentClose: "abandon" as const } : { queue };
    const input = { programs: programs as Input["programs"] };
    const child = await (workflow === undefined
      ? ctx.spawn("conformance", input, options)
      : ctx.spawn(workflow, input, options));
    return awaits === true ? await child.result() : null;
  }

  #child(ctx: Context, operation: Operation): Promise<unknown> {
    const { queue, workflow } = this.#environment;
    const input = { programs: operation.programs as Input["programs"] };
    const options = {
      queue,
      ...("runId" in operation ? { runId: text(operation.runId) } : {}),
    };
    if (workflow !== undefined) return ctx.child(workflow, input, options);
    return ctx.child(text(operation.workflow ?? "conformance"), input, options);
  }

  #step(ctx: Context, operation: Operation, scope: Scope): Promise<unknown> {
    const options = stepOptions(operation, scope);
    const name = text(operation.name);
    const label = "key" in options ? `${name}[${options.key}]` : name;
    if ("yield" in operation) {
      const items = operation.yield as readonly unknown[];
      const effect = (): void => this.#effect(label);
      return ctx.step(
        name,
        async function* (inner: StepContext) {
          effect();
          for (const item of items) {
            yield scope.inStep(inner).evaluate(item) as string;
            if ("pauseMs" in operation) await pause(Number(operation.pauseMs), inner.abortSignal);
          }
        },
        options,
      );
    }
    if ("args" in operation) {
      const body = (): Promise<unknown> => this.#body(ctx, operation, scope, label);
      return ctx.step(name, body, [scope.evaluate(operation.args)] as never, options);
    }
    return ctx.step(
      name,
      (inner: StepContext) => this.#body(inner, operation, scope.inStep(inner), label),
      options,
    );
  }

  async #body(ctx: Context, operation: Operation, scope: Scope, label: string): Promise<unknown> {
    this.#effect(label);
    if ("crash" in operation) this.#crash(text(operation.crash));
    if ("takesMs" in operation) await pause(Number(operation.takesMs), ctx.abortSignal);
    let result: unknown = null;
    if ("do" in operation) result = (await this.block(ctx, operation.do as Block, scope)).value;
    if ("fail" in operation) {
      const fail = operation.fail as { type: string; message: string; attempts?: number };
      if (scope.attempt <= (fail.attempts ?? Number.POSITIVE_INFINITY)) throw makeError(fail);
    }
    if (operation.unserializable === true) return () => undefined;
    return "value" in operation ? scope.evaluate(operation.value) : result;
  }

  async #allSettled(
    ctx: Context,
    branches: Record<string, (inner: Context) => Promise<unknown>>,
  ): Promise<unknown> {
    const settled = await ctx.allSettled(branches);
    return Object.fromEntries(
      Object.entries(settled).map(([name, one]) => [
        name,
        one.status === "fulfilled" ? { ok: one.value } : { error: failureOf(one.reason) },
      ]),
    );
  }

  #map(ctx: Context, operation: Operation, scope: Scope): Promise<unknown> {
    const items = scope.evaluate(operation.items) as readonly unknown[];
    return ctx.map(
      text(operation.name),
      items,
      {
        ...(operation.keyed === true ? { key: (item: unknown) => String(item) } : {}),
        ...("concurrency" in operation ? { concurrency: Number(operation.concurrency) } : {}),
      },
      async (item, inner) =>
        (await this.block(inner, operation.do as Block, scope.withItem(item))).value,
    );
  }

  async #try(ctx: Context, operation: Operation, scope: Scope): Promise<Ended> {
    try {
      return await this.block(ctx, operation.do as Block, scope);
    } catch (error) {
      if (!("catch" in operation)) throw error;
      scope.set("error", failureOf(error));
      return await this.block(ctx, operation.catch as Block, scope);
    } finally {
      if ("finally" in operation) await this.block(ctx, operation.finally as Block, scope);
    }
  }

  async #signals(ctx: Context, operation: Operation, scope: Scope): Promise<Ended | undefined> {
    let taken = 0;
    for await (const item of ctx.signals(text(operation.name))) {
      await this.block(ctx, operation.do as Block, scope.withItem(item));
      taken += 1;
      if (taken === Number(operation.times)) break;
    }
    return undefined;
  }

  async #repeat(ctx: Context, operation: Operation, scope: Scope): Promise<Ended> {
    for (let i = 0; i < Number(operation.times); i += 1) {
      scope.set("i", i);
      const ended = await this.block(ctx, operation.do as Block, scope);
      if (ended.returned) return ended;
    }
    return { returned: false, value: null };
  }

  #effect(name: string): void {
    appendFileSync(
      join(this.#environment.folder, "effects"),
      `${this.#runId}\t${name}\t${Date.now()}\n`,
    );
  }

  #crash(label: string): void {
    const mark = join(this.#environment.folder, `${this.#runId}.${label}`);
    if (existsSync(mark)) return;
    writeFileSync(mark, "");
    process.kill(process.pid, "SIGKILL");
    // The signal comes in its own time; nothing may happen until then.
    Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0);
  }
}

function text(value: unknown): string {
  return String(value);
}

function named(operation: Operation): { name: string } | undefined {
  return "name" in operation ? { name: text(operation.name) } : undefined;
}

function stepOptions(operation: Operation, scope: Scope) {
  return {
    ...("key" in operation ? { key: String(scope.evaluate(operation.key)) } : {}),
    ...("retry" in operation ? { retry: retryOf(operation.retry as Record<string, unknown>) } : {}),
    ...("timeoutMs" in operation ? { timeout: Number(operation.timeoutMs) } : {}),
    ...(operation.atMostOnce === true ? { recovery: "at_most_once" as const } : {}),
    ...("version" in operation ? { version: text(operation.version) } : {}),
    ...("reduce" in operation ? { reduce: operation.reduce as "join" | "collect" | "last" } : {}),
  };
}

/** Times are in ms in programs, in seconds here. */
function retryOf(retry: Record<string, unknown>): Retry {
  const first = Number(retry.initialMs ?? 10) / 1000;
  const max = "maxMs" in retry ? { max: Number(retry.maxMs) / 1000 } : {};
  return {
    maxAttempts: Number(retry.maxAttempts ?? 1),
    backoff:
      retry.backoff === "exponential"
        ? exponential({ initial: first, base: Number(retry.coefficient ?? 2), ...max })
        : retry.backoff === "linear"
          ? linear({ start: first, step: Number(retry.incrementMs ?? 0) / 1000, ...max })
          : constant(first),
    ...(retry.onExhausted === "pause" ? { onExhausted: "pause" as const } : {}),
    ...("nonRetryableTypes" in retry ? { nonRetryable: retry.nonRetryableTypes as string[] } : {}),
  };
}

function pause(ms: number, signal: AbortSignal): Promise<void> {
  return new Promise((resolve, reject) => {
    const timer = setTimeout(resolve, ms);
    signal.addEventListener("abort", () => {
      clearTimeout(timer);
      reject(signal.reason);
    });
  });
}
