/**
 * A scope names steps: the workflow itself, a branch of `ctx.all` and its like,
 * an item of `ctx.map`, or the body of a step that has steps of its own. Names
 * are counted per scope, so a key never depends on what other scopes do.
 *
 * The keys of two uses of one name follow the order of the calls. That order is
 * the program's as long as the calls are made one after the other, or in one
 * stretch: one delivery of a result, and one turn of the event loop. A use in a
 * later stretch, while an earlier use of the name is still in flight, may have arrived
 * before or after it by timing: that is refused, before any run depends on it.
 */
import { AmbiguousStepKeyError, UsageError } from "../errors.ts";
import { loopTurn } from "../lib/loop-turn.ts";
import { callSite } from "../lib/text.ts";
import type { StepTrace } from "../telemetry/trace.ts";
import { checkKey, checkText, escapeName, type Namespace } from "./keys.ts";

/** Counts the deliveries of a run: code between two of them is one turn. */
export interface Turns {
  readonly turn: number;
}

const sdkFolder = new URL("..", import.meta.url).pathname;

/** Where user code called the SDK. */
export function userCallSite(): string {
  const limit = Error.stackTraceLimit;
  Error.stackTraceLimit = 30;
  const { stack } = new Error();
  Error.stackTraceLimit = limit;
  return callSite(stack, (line) => line.includes(sdkFolder) || line.includes("node:"));
}

/** The uses of one name in a scope. */
export interface Uses {
  count: number;
  /** Of those, how many are in flight … */
  open: number;
  /** … and the stretch in which the first of these started. */
  since: number;
}
/** A race, to its branches. */
export type Race = object;

export class Scope {
  /** The race that it is a branch of, if it is one. */
  race: Race | undefined;
  readonly parent: Scope | undefined;
  /** Empty, or the scope's path with a `/` behind it. */
  readonly prefix: string;
  /** The body of a step is somewhere around it. */
  readonly insideStep: boolean;
  /** Of the step whose body is around it. */
  trace: StepTrace | undefined;
  readonly #turns: Turns;
  #uses: Map<string, Uses> | undefined;
  #explicit: Set<string> | undefined;
  #shielded = false;
  #ended: string | undefined;
  #controller: AbortController | undefined;

  constructor(turns: Turns, parent: Scope | undefined, prefix: string, insideStep: boolean) {
    this.#turns = turns;
    this.parent = parent;
    this.prefix = prefix;
    this.insideStep = insideStep;
  }

  child(segment: string): Scope {
    return this.#below(`${this.prefix}${segment}/`, this.insideStep);
  }

  /** A scope for clean-up: neither the end of the scopes around it nor a cancel reaches into it. */
  shield(segment: string): Scope {
    const prefix = segment === "" ? this.prefix : `${this.prefix}${segment}/`;
    const scope = new Scope(this.#turns, this, prefix, this.insideStep);
    scope.#shielded = true;
    return scope;
  }

  /** The scope inside of the step with that key. */
  childAt(key: string, insideStep: boolean): Scope {
    return this.#below(`${key}/`, insideStep);
  }

  #below(prefix: string, insideStep: boolean): Scope {
    const scope = new Scope(this.#turns, this, prefix, insideStep);
    scope.trace = this.trace;
    return scope;
  }

  /** The key of the next step of that name; counts the use. */
  claim(namespace: Namespace, name: string, key: string | undefined): string {
    return checkKey(this.prefix + this.claimSegment(namespace, name, key));
  }

  /** The last segment alone, for a scope that is to be pushed. */
  claimSegment(namespace: Namespace, name: string, key: string | undefined): string {
    const base = namespace + escapeName(name);
    if (key !== undefined) {
      checkText(`the key of "${name}"`, key);
      const segment = `${base}[${escapeName(key)}]`;
      this.#explicit ??= new Set();
      if (this.#explicit.has(segment)) {
        throw new UsageError(
          `the step "${name}" with the key "${key}" is used twice in one scope, at ${userCallSite()}; give each use a key of its own`,
        );
      }
      this.#explicit.add(segment);
      return segment;
    }
    this.#uses ??= new Map();
    const uses = this.#uses.get(base);
    if (uses === undefined) {
      this.#uses.set(base, { count: 1, open: 0, since: 0 });
      return base;
    }
    if (uses.open > 0 && uses.since < this.#stretch)
      this.#ambiguous(namespace + name, uses.count + 1);
    uses.count += 1;
    return `${base}#${uses.count}`;
  }

  #ambiguous(name: string, uses: number): never {
    throw new AmbiguousStepKeyError(
      `AMBIGUOUS_STEP_KEY: "${name}" is used for the ${uses}${uses === 2 ? "nd" : uses === 3 ? "rd" : "th"} time in one scope, at ${userCallSite()}, in a later turn of the event loop than a use that is still in flight, so which of them comes first depends on timing. Give this step a key of its own ({ key: … }), or run the parallel parts as branches of ctx.all, ctx.race or ctx.map`,
    );
  }

  /** Grows with each delivery and each turn of the event loop. */
  get #stretch(): number {
    return this.#turns.turn + loopTurn();
  }

  /** What has that key, or is below it, is in flight now; `leave` ends that. */
  enter(key: string): Uses | undefined {
    const end = key.indexOf("/", this.prefix.length);
    const segment = key.slice(this.prefix.length, end < 0 ? undefined : end);
    // With a key of its own it cannot be mixed up with another.
    if (segment.endsWith("]")) return undefined;
    const number = segment.lastIndexOf("#");
    const uses = this.#uses?.get(number < 0 ? segment : segment.slice(0, number));
    if (uses === undefined) return undefined;
    if (uses.open === 0) uses.since = this.#stretch;
    uses.open += 1;
    return uses;
  }

  leave(uses: Uses | undefined): void {
    if (uses !== undefined) uses.open -= 1;
  }

  isWithin(other: Scope): boolean {
    for (let scope: Scope | undefined = this; scope !== undefined; scope = scope.parent) {
      if (scope === other) return true;
    }
    return false;
  }

  /** As `isWithin`, but shields end the way up. */
  isReachedBy(other: Scope): boolean {
    for (let scope: Scope | undefined = this; scope !== undefined; scope = scope.parent) {
      if (scope === other) return true;
      if (scope.#shielded) return false;
    }
    return false;
  }

  get isShielded(): boolean {
    for (let scope: Scope | undefined = this; scope !== undefined; scope = scope.parent) {
      if (scope.#shielded) return true;
    }
    return false;
  }

  /** Why no step may start here any more, if that is so. */
  get ended(): string | undefined {
    for (let scope: Scope | undefined = this; scope !== undefined; scope = scope.parent) {
      if (scope.#ended !== undefined) return scope.#ended;
      if (scope.#shielded) return undefined;
    }
    return undefined;
  }

  /** From now on no step starts in this scope and those below. */
  end(reason: string): void {
    this.#ended ??= reason;
  }

  /** Made when first asked for: most scopes are never asked. */
  get abortController(): AbortController {
    this.#controller ??= new AbortController();
    return this.#controller;
  }
}
