/** Where a context stands: what its features (steps, branches, waits, …) have in common. */
import { AmbiguousStepKeyError } from "../errors.ts";
import type { Compensations } from "../run/compensations.ts";
import type { EventPlace } from "../run/events.ts";
import type { Namespace } from "../run/keys.ts";
import type { Run } from "../run/run.ts";
import type { Scope } from "../run/scope.ts";
import type { StepBody, StepHost } from "../run/step-body.ts";
import type { StepOptions } from "../run/step-settings.ts";
import type { AnyStep } from "../step-types.ts";
import { contexts } from "./current.ts";
import type { Context, EmitOptions } from "./types.ts";

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
export interface RunBase extends StepHost {
  /** Defaults for the steps of this workflow. */
  readonly stepDefaults: StepOptions | undefined;
  readonly compensations: Compensations;
}

/** A context, as the SDK itself sees it. */
export type PlacedContext = Place & Context;

export abstract class Place {
  readonly base: RunBase;
  readonly stepBody: StepBody | undefined;
  /** The event that opened the span around it. */
  readonly spanId: string | undefined;
  readonly #ownScope: Scope | undefined;

  /** For a scope, or for the body of a step, whose scope is made when it is needed. */
  constructor(base: RunBase, scope: Scope | undefined, stepBody?: StepBody, spanId?: string) {
    this.base = base;
    this.#ownScope = scope;
    this.stepBody = stepBody;
    this.spanId = spanId;
  }

  /** A context of the same run and step in another scope or span. */
  protected abstract at(scope: Scope, spanId: string | undefined): PlacedContext;

  /** Runs a step made by `step()` that was called directly. */
  abstract stepOf(definition: AnyStep, args: readonly unknown[]): Promise<unknown>;

  protected get run(): Run {
    return this.base.run;
  }

  get scopeHere(): Scope {
    return this.#ownScope ?? this.stepBody?.scope ?? this.run.root;
  }

  /** The innermost context that the caller is in, if it is this one or within it. */
  protected get here(): Place {
    const active = contexts.getStore();
    if (active === undefined || active.base.run !== this.run) return this;
    return active.scopeHere.isWithin(this.scopeHere) ? active : this;
  }

  /** Runs code in a scope below this one. */
  async enter<R>(scope: Scope, fn: (ctx: Context) => R): Promise<Awaited<R>> {
    const context = this.at(scope, this.spanId);
    return await contexts.run(context, fn, context);
  }

  /** The key of the next use of that name here, and the scope that it counts in. */
  claim(
    namespace: Namespace,
    name: string,
    key: string | undefined,
  ): { scope: Scope; key: string } {
    const scope = this.here.scopeHere;
    try {
      return { scope, key: scope.claim(namespace, name, key) };
    } catch (error) {
      // Nothing that user code catches may hide it: on another day it would pass.
      if (error instanceof AmbiguousStepKeyError) void this.run.end(error);
      throw error;
    }
  }

  /** Where what is sent here belongs: to the span around it, or the branch within the step. */
  placeHere(options: EmitOptions = {}): EventPlace {
    const { scopeHere, stepBody: body, spanId } = this.here;
    const { prefix } = scopeHere;
    const isStep = body === undefined ? prefix === "" : prefix === `${body.operation.key}/`;
    const scopeId = isStep ? undefined : `${this.run.runId}/${prefix.slice(0, -1)}`;
    const { parent = spanId ?? scopeId, id, contentIndex, keep } = options;
    return { body, parentEventId: parent, eventId: id, contentIndex, keep };
  }

  /** The same place, within a span. */
  inSpan(id: string): PlacedContext {
    const { here } = this;
    return here.at(here.scopeHere, id);
  }
}
