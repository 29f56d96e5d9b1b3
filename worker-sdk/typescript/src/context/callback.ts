/** `ctx.callback`: a URL for an outside process, and what it posts there. */
import { StepKind } from "@pawl/proto";
import { durationFromMs, waitingMs } from "../duration.ts";
import { WaitTimeoutError } from "../errors.ts";
import { CallbackOperation } from "../run/callback-operation.ts";
import { checkName } from "../run/keys.ts";
import type { Scope } from "../run/scope.ts";
import type { WaitCall } from "../run/wait.ts";
import type { Place } from "./place.ts";
import type { Callback, CallbackOptions } from "./question-types.ts";

/** Its result counts as in flight in its scope once it is asked for, as a wait that is started then. */
class OpenCallback implements Callback<never> {
  readonly url: string;
  readonly token: string;
  readonly waitId: string;
  readonly #operation: CallbackOperation;
  readonly #scope: Scope;
  #result: Promise<never> | undefined;

  constructor(
    operation: CallbackOperation,
    scope: Scope,
    address: { readonly url: string; readonly token: string; readonly waitId: string },
  ) {
    this.url = address.url;
    this.token = address.token;
    this.waitId = address.waitId;
    this.#operation = operation;
    this.#scope = scope;
  }

  result(): Promise<never> {
    if (this.#result === undefined) {
      this.#result = this.#await();
      this.#result.catch(() => undefined);
    }
    return this.#result;
  }

  async #await(): Promise<never> {
    const uses = this.#scope.enter(this.#operation.key);
    try {
      return (await this.#operation.awaited()) as never;
    } finally {
      this.#scope.leave(uses);
    }
  }
}

function callOf(name: string, options: CallbackOptions<unknown>): WaitCall {
  const { timeout } = options;
  return {
    name,
    kind: StepKind.CALLBACK,
    wait: timeout === undefined ? {} : { duration: durationFromMs(waitingMs(timeout)) },
    finish: ({ outcome, value, stepKey }) => {
      if (outcome !== "timed_out") return value;
      if ("default" in options) return options.default;
      throw new WaitTimeoutError(`the callback "${name}"`, stepKey);
    },
  };
}

/** `ctx.callback`. */
export async function openCallback(
  context: Place,
  name: string,
  options: CallbackOptions<unknown>,
): Promise<Callback<never>> {
  checkName("a callback", name);
  const key = options.key === undefined ? undefined : String(options.key);
  const call = callOf(name, options);
  const place = context.claim("callback:", name, key);
  const operation = new CallbackOperation(context.base.run, place.scope, place.key, call);
  const uses = place.scope.enter(place.key);
  try {
    void operation.open();
    return new OpenCallback(operation, place.scope, await operation.address);
  } finally {
    place.scope.leave(uses);
  }
}
