import { Cancelled } from "../errors.ts";
import type { Scope } from "./scope.ts";

/** The AbortSignals that user code has asked for, by the scopes that they belong to. */
export class AbortSignals {
  readonly #scopes = new Set<Scope>();

  /** The scope's signal; `ended`: why it is aborted from the start, if it is. */
  of(scope: Scope, ended: string | undefined): AbortSignal {
    const { abortController } = scope;
    if (!this.#scopes.has(scope)) {
      this.#scopes.add(scope);
      const reason = scope.ended ?? ended;
      if (reason !== undefined) abortController.abort(new Cancelled(reason));
    }
    return abortController.signal;
  }

  /** Aborts those of a scope and of all within it. */
  abortWithin(scope: Scope, reason: string): void {
    for (const holder of [...this.#scopes]) {
      if (holder.isReachedBy(scope)) holder.abortController.abort(new Cancelled(reason));
    }
  }

  /** The scope is over: aborts its signal and forgets it. */
  close(scope: Scope, reason: string): void {
    if (this.#scopes.delete(scope)) scope.abortController.abort(new Cancelled(reason));
  }

  /** `inSteps`: only those of bodies. */
  abortAll(reason: string, inSteps: boolean): void {
    for (const scope of this.#scopes)
      if (scope.insideStep || !inSteps) scope.abortController.abort(new Cancelled(reason));
    this.#scopes.clear();
  }
}
