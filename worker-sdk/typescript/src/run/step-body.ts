import { StepTimeoutError } from "../errors.ts";
import { startTimer } from "../lib/delay.ts";
import { isThenable } from "../lib/foreign.ts";
import { loopWatch } from "../lib/loop-watch.ts";
import { validate } from "../schema.ts";
import type { StepTrace } from "../telemetry/trace.ts";
import { publish } from "./events.ts";
import type { StartNote, StepStartedInit } from "./link.ts";
import type { Run } from "./run.ts";
import type { Scope } from "./scope.ts";
import type { StepOperation } from "./step.ts";
import { consume, isAsyncIterable } from "./stream.ts";

/** What steps are executed in. */
export interface StepHost {
  readonly run: Run;
  /** Runs the body of a step with its context around it. */
  readonly invoke: (body: StepBody) => unknown;
}

/**
 * One attempt of a step's body. It tells the operation once how it went; a body
 * that outlives its timeout, its branch or its run finds nobody who listens.
 */
export class StepBody implements StartNote {
  readonly operation: StepOperation;
  readonly attempt: number;
  readonly trace: StepTrace | undefined;
  /** The scope of the steps inside of this one, once there are any. */
  innerScope: Scope | undefined;
  /** How many deltas this attempt has sent. */
  sequence = 0;
  /** How many streams it has besides its own. */
  streams = 0;
  /** Calls code in the context that the body got. */
  within: (<R>(fn: () => R) => R) | undefined;
  readonly #startedAt = performance.now();
  #ended = false;
  #endTimer: (() => void) | undefined;

  constructor(operation: StepOperation, attempt: number) {
    this.operation = operation;
    this.attempt = attempt;
    operation.deltas = 0;
    const { run, key, name, scope } = operation;
    const { trace } = run.facts;
    if (trace === undefined) return;
    const lost = run.memo.takeLost(key);
    this.trace = trace.step({ key, name, attempt, around: scope.trace, lost });
  }

  get ended(): boolean {
    return this.#ended;
  }

  get latencyMs(): number {
    return performance.now() - this.#startedAt;
  }

  startMessage(): StepStartedInit {
    return this.operation.startMessage();
  }

  get scope(): Scope {
    if (this.innerScope === undefined) {
      this.innerScope = this.operation.innerScope();
      this.innerScope.trace = this.trace;
    }
    return this.innerScope;
  }

  run(): void {
    const { host, run, call } = this.operation;
    let result: unknown;
    try {
      result = host.invoke(this);
    } catch (error) {
      this.#fail(error);
      return;
    } finally {
      loopWatch.ran(this.#startedAt, run.runId, this.operation.key);
    }
    const pending = isThenable(result)
      ? Promise.resolve(result)
      : isAsyncIterable(result)
        ? this.#consume(result)
        : undefined;
    if (pending === undefined) {
      this.#return(result);
      return;
    }
    run.link.noteStart(run.runId, this);
    const { timeoutMs } = call.settings;
    if (timeoutMs !== undefined) {
      this.#endTimer = startTimer(timeoutMs, () =>
        this.#fail(new StepTimeoutError(call.name, timeoutMs)),
      );
    }
    this.#follow(pending);
  }

  #follow(pending: Promise<unknown>): void {
    pending.then(
      (value) => this.#return(value),
      (error: unknown) => this.#fail(error),
    );
  }

  #consume(items: AsyncIterable<unknown>): Promise<unknown> {
    const { run, call } = this.operation;
    const { reduce, keep } = call.settings;
    return consume(items, {
      reduce,
      name: call.name,
      send: (type, data, { id, parent, ...options }) => {
        const place = { body: this, keep, ...options, eventId: id, parentEventId: parent };
        if (!this.#ended) publish(run, type, data, place);
      },
      stopped: () => this.#ended,
      within: this.within,
    });
  }

  #return(value: unknown): void {
    if (this.#ended) return;
    // A promise of a stream.
    if (isAsyncIterable(value)) {
      this.#follow(this.#consume(value));
      return;
    }
    const { name, settings } = this.operation.call;
    const { output, timeoutMs } = settings;
    // A body that blocks the event loop blocks the timer, too.
    if (timeoutMs !== undefined && this.latencyMs > timeoutMs) {
      this.#fail(new StepTimeoutError(name, timeoutMs));
      return;
    }
    if (output === undefined) {
      this.#succeed(value);
      return;
    }
    try {
      const checked = validate(output, value, `the result of step "${name}"`);
      if (checked instanceof Promise) this.#succeedLater(checked);
      else this.#succeed(checked);
    } catch (error) {
      this.#fail(error);
    }
  }

  #succeedLater(checked: Promise<unknown>): void {
    checked.then(
      (value) => this.#succeed(value),
      (error: unknown) => this.#fail(error),
    );
  }

  #succeed(value: unknown): void {
    if (!this.#leave(`step "${this.operation.name}" is over`)) return;
    this.operation.bodyReturned(value, this.latencyMs);
  }

  #fail(error: unknown): void {
    if (!this.#leave(`an attempt of step "${this.operation.name}" failed`)) return;
    this.operation.bodyFailed(error, this.latencyMs);
  }

  /** Ends the attempt; false if it had ended before. */
  #leave(reason: string): boolean {
    if (this.#ended) return false;
    this.end();
    const { run } = this.operation;
    if (run.left || this.operation.detached) return false;
    if (this.sequence > 0) run.link.flush(run.runId);
    if (this.innerScope !== undefined) run.closeStepScope(this.innerScope, reason);
    return true;
  }

  /** It did not stop when it was told to. */
  abandon(): void {
    this.#leave(`step "${this.operation.name}" was stopped`);
  }

  /** Whatever the body still does, it is not heard. */
  end(): void {
    this.#ended = true;
    this.trace?.stop();
    this.#endTimer?.();
    this.#endTimer = undefined;
  }
}
