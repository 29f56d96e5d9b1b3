import type { Scope } from "../run/scope.ts";
import { OutputFeature } from "./output-feature.ts";
import type { Context } from "./types.ts";

/**
 * `ctx`: one class for each feature, each on top of the one before (`step-feature.ts`,
 * `branch-feature.ts`, `wait-feature.ts`, `output-feature.ts`), and what a run says about itself.
 */
export class RunContext extends OutputFeature implements Context {
  protected override at(scope: Scope, spanId: string | undefined): RunContext {
    return new RunContext(this.base, scope, this.stepBody, spanId);
  }

  get runId(): string {
    return this.run.runId;
  }
  get workflow(): string {
    return this.run.facts.workflow;
  }
  get runAttempt(): number {
    return this.run.facts.attempt;
  }
  get tags(): Readonly<Record<string, string>> {
    return this.run.facts.tags;
  }
  get sessionId(): string {
    return this.run.facts.sessionId;
  }
  get userId(): string {
    return this.run.facts.userId;
  }
  get traceparent(): string {
    return this.run.facts.traceparent;
  }
  get abortSignal(): AbortSignal {
    return this.run.abortSignal(this.here.scopeHere);
  }
}
