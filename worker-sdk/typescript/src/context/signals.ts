/**
 * `ctx.signals`: one wait after the other, in a scope of the iteration's own, so
 * that the keys count the signals that it took and nothing else. While one is
 * awaited, that is in flight in the scope around it, as any wait would be.
 */
import { Cancelled } from "../errors.ts";
import { checkName } from "../run/keys.ts";
import type { Scope } from "../run/scope.ts";
import type { Place } from "./place.ts";
import { signalIn } from "./wait-calls.ts";
import type { SignalsOptions } from "./wait-types.ts";

const none = Symbol("no signal came in time");

class Signals implements AsyncIterableIterator<never> {
  readonly #context: Place;
  readonly #outer: Scope;
  readonly #scope: Scope;
  readonly #name: string;
  readonly #options: SignalsOptions;
  #done = false;

  constructor(context: Place, name: string, options: SignalsOptions) {
    this.#context = context;
    this.#name = name;
    this.#options = options;
    this.#outer = context.scopeHere;
    this.#scope = this.#outer.child(this.#outer.claimSegment("signals:", name, undefined));
  }

  [Symbol.asyncIterator](): this {
    return this;
  }

  next(): Promise<IteratorResult<never>> {
    const next = this.#next();
    // Whether user code listens is its own affair, and no reason to end the process.
    next.catch(() => undefined);
    return next;
  }

  async #next(): Promise<IteratorResult<never>> {
    if (this.#done) return { done: true, value: undefined };
    const uses = this.#outer.enter(this.#scope.prefix);
    try {
      const { timeout } = this.#options;
      const value = await signalIn(this.#context, this.#scope, this.#name, timeout, none);
      if (value !== none) return { done: false, value: value as never };
      this.#done = true;
    } catch (error) {
      // What was still awaited when the loop was left is nobody's any more.
      if (!this.#done || !(error instanceof Cancelled)) throw error;
    } finally {
      this.#outer.leave(uses);
    }
    return { done: true, value: undefined };
  }

  async return(): Promise<IteratorResult<never>> {
    this.#done = true;
    this.#context.base.run.endScope(this.#scope, "the iteration over signals has ended");
    return { done: true, value: undefined };
  }
}

export function openSignals(
  context: Place,
  name: string,
  options: SignalsOptions,
): AsyncIterableIterator<never> {
  checkName("a wait", name);
  return new Signals(context, name, options);
}
