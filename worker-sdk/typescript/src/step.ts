import { contexts } from "./context/current.ts";
import type { StepResult } from "./context/types.ts";
import { UsageError } from "./errors.ts";
import { checkName } from "./run/keys.ts";
import { resolveStepOptions, type StepOptions } from "./run/step-settings.ts";
import { consume, isAsyncIterable } from "./run/stream.ts";
import { type StepFunction, stepMark } from "./step-types.ts";

function makeStep<A extends unknown[], R>(
  name: string,
  options: StepOptions,
  body: (...args: A) => unknown,
): StepFunction<A, R> {
  const settings = resolveStepOptions(options);
  const outside = async (args: A): Promise<R> => {
    const result = await body(...args);
    if (!isAsyncIterable(result)) return result as R;
    const { reduce } = settings;
    const nobody = { send: () => undefined, stopped: () => false };
    return (await consume(result, { reduce, name, ...nobody })) as R;
  };
  const call = (...args: A): Promise<R> => {
    const context = contexts.getStore();
    return context === undefined ? outside(args) : (context.stepOf(self, args) as Promise<R>);
  };
  const self: StepFunction<A, R> = Object.assign(call, {
    [stepMark]: true,
    stepName: name,
    options: Object.freeze({ ...options }),
    body,
    with: (more: StepOptions) => makeStep<A, R>(name, { ...options, ...more }, body),
  });
  // Shows the step's name in stacks; pipelines read the number of parameters.
  Object.defineProperty(self, "name", { value: name });
  Object.defineProperty(self, "length", { value: body.length });
  return self;
}

/**
 * Defines a step: `step(fn)`, `step(name, fn)`, `step(options, fn)` or
 * `step(name, options, fn)`. Without a name it has the function's.
 */
export function step<A extends unknown[], R>(
  body: (...args: A) => R,
): StepFunction<A, StepResult<R, StepOptions>>;
export function step<A extends unknown[], R>(
  name: string,
  body: (...args: A) => R,
): StepFunction<A, StepResult<R, StepOptions>>;
export function step<A extends unknown[], R, const O extends StepOptions>(
  options: O,
  body: (...args: A) => R,
): StepFunction<A, StepResult<R, O>>;
export function step<A extends unknown[], R, const O extends StepOptions>(
  name: string,
  options: O,
  body: (...args: A) => R,
): StepFunction<A, StepResult<R, O>>;
export function step(...parts: unknown[]): StepFunction<unknown[], unknown> {
  const body = parts.at(-1);
  if (typeof body !== "function") {
    throw new UsageError(`step() needs a function as its last argument; it got ${typeof body}`);
  }
  const name = typeof parts[0] === "string" ? parts[0] : body.name;
  if (name === "") {
    throw new UsageError(`step() got a function without a name; give one: step("name", () => …)`);
  }
  checkName("a step", name);
  const options = parts.slice(0, -1).find((part) => typeof part === "object" && part !== null);
  return makeStep(name, (options ?? {}) as StepOptions, body as (...args: unknown[]) => unknown);
}
