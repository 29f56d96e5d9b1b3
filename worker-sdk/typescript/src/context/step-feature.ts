/** Steps, recorded values and compensations. */
import { StepKind } from "@pawl/proto";
import { UsageError } from "../errors.ts";
import { StepOperation } from "../run/step.ts";
import { defaultSettings, type StepCall } from "../run/step-settings.ts";
import type { AnyStep } from "../step-types.ts";
import { guarded, Place } from "./place.ts";
import { parseStepCall } from "./step-call.ts";

export abstract class StepFeature extends Place {
  step(...call: unknown[]): Promise<never> {
    return guarded(() => this.#step(parseStepCall(call, this.base.stepDefaults)));
  }

  /** A step made by `step()` that was called directly. */
  override stepOf(definition: AnyStep, args: readonly unknown[]): Promise<unknown> {
    return guarded(() => this.#step(parseStepCall([definition, ...args], this.base.stepDefaults)));
  }

  #step(call: StepCall): Promise<unknown> {
    const { scope, key } = this.claim(
      call.kind === StepKind.VALUE ? "value:" : "",
      call.name,
      call.settings.key,
    );
    return new StepOperation(this.base, scope, key, call).open();
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
    return guarded(() => this.#value("tags", () => this.run.link.tags(this.run.runId)));
  }
  uuid(): Promise<string> {
    return guarded(() => this.#value("uuid", () => globalThis.crypto.randomUUID()));
  }

  compensate(...call: unknown[]): void {
    const parsed = parseStepCall(call, this.base.stepDefaults);
    const { scopeHere: scope } = this.here;
    if (scope.insideStep) {
      throw new UsageError(
        `ctx.compensate("${parsed.name}") inside of a step would be forgotten in a replay; call it in the workflow, before or after the step`,
      );
    }
    const { key } = this.claim("compensate:", parsed.name, parsed.settings.key);
    this.base.compensations.register(key, parsed);
  }
}
