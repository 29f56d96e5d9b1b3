import { StepKind } from "@pawl/proto";
import type { StandardSchemaV1 } from "@standard-schema/spec";
import { encodeArguments, payloadOf } from "../codec/payload.ts";
import { UsageError } from "../errors.ts";
import { limits } from "../limits.ts";
import { checkName } from "../run/keys.ts";
import {
  defaultSettings,
  resolveStepOptions,
  type StepCall,
  type StepOptions,
  type StepSettings,
} from "../run/step-settings.ts";
import { validate } from "../schema.ts";
import { isStepFunction } from "../step-types.ts";

function refuseBody(name: string, body: unknown): never {
  const isPromise = typeof body === "object" && body !== null && "then" in body;
  throw new UsageError(
    isPromise
      ? `step "${name}" got a promise, whose work has begun already, so that a replay would do it again; pass a function: ctx.step("${name}", () => …)`
      : `step "${name}" needs a function to run; it got ${body === null ? "null" : typeof body}`,
  );
}

/** The body, with its first argument as the step's `input` schema turns it out. */
function withInput(
  name: string,
  body: StepCall["body"],
  schema: StandardSchemaV1,
): StepCall["body"] {
  // The types of body and arguments were matched where the step was called.
  const fn = body as (...args: unknown[]) => unknown;
  return (first: unknown, ...others: unknown[]) => {
    const parsed = validate(schema, first, `the input of step "${name}"`);
    return parsed instanceof Promise
      ? parsed.then((value) => fn(value, ...others))
      : fn(parsed, ...others);
  };
}

function withArguments(
  name: string,
  body: StepCall["body"],
  args: readonly unknown[],
  settings: StepSettings,
): StepCall {
  const { input } = settings;
  if (args.length === 0) {
    return { name, kind: StepKind.STEP, body, args, settings, inputDigest: "", input: undefined };
  }
  const { all, digest, shown } = encodeArguments(args, `the arguments of step "${name}"`);
  return {
    name,
    kind: StepKind.STEP,
    body: input === undefined ? body : withInput(name, body, input),
    // Each attempt gets them as they were at the call, whatever becomes of the caller's objects.
    get args() {
      return all.decoded() as readonly unknown[];
    },
    settings,
    inputDigest: digest,
    input: shown.data.length <= limits.shownInputBytesMax ? payloadOf(shown) : undefined,
  };
}

function isFunction(value: unknown): value is StepCall["body"] {
  return typeof value === "function";
}

function isOptions(value: unknown): value is StepOptions {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}

function settingsOf(name: string, options: unknown, base: StepOptions | undefined): StepSettings {
  if (options === undefined && base === undefined) return defaultSettings;
  if (options !== undefined && !isOptions(options)) {
    throw new UsageError(
      `step "${name}" got ${typeof options} where its options belong; arguments go in a list: ctx.step("${name}", fn, [a, b], options)`,
    );
  }
  return resolveStepOptions({ ...base, ...options });
}

/** Sorts out the ways in which `ctx.step` can be called. `base`: the workflow's defaults. */
export function parseStepCall(call: readonly unknown[], base: StepOptions | undefined): StepCall {
  const [first, second, third, fourth] = call;
  if (typeof first === "string") {
    checkName("a step", first);
    if (!isFunction(second)) return refuseBody(first, second);
    const definition = isStepFunction(second) ? second : undefined;
    const defaults = definition === undefined ? base : { ...base, ...definition.options };
    const body = definition?.body ?? second;
    if (Array.isArray(third)) {
      return withArguments(first, body, third, settingsOf(first, fourth, defaults));
    }
    return {
      name: first,
      kind: StepKind.STEP,
      body,
      args: definition === undefined ? undefined : [],
      settings: settingsOf(first, third, defaults),
      inputDigest: "",
      input: undefined,
    };
  }
  if (isStepFunction(first)) {
    const { stepName, body, options } = first;
    return withArguments(
      stepName,
      body,
      call.slice(1),
      settingsOf(stepName, undefined, { ...base, ...options }),
    );
  }
  if (!isFunction(first)) return refuseBody("?", first);
  if (first.name === "") {
    throw new UsageError(
      `this step's function has no name to record it under; give one: ctx.step("name", () => …)`,
    );
  }
  checkName("a step", first.name);
  return withArguments(first.name, first, call.slice(1), settingsOf(first.name, undefined, base));
}
