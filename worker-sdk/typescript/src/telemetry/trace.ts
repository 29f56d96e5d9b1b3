/**
 * What the SDK says to tracing, without knowing whose it is. Tracing is there only where the
 * environment or the program configured OpenTelemetry; everywhere else nothing of it is loaded.
 */
import type { ModelCall } from "./model-call.ts";

/** How an attempt of a step ended. */
export type AttemptOutcome = "completed" | "failed" | "retrying" | "cancelled" | "abandoned";

/** One attempt of a step: its span, once it has ended. */
export interface StepTrace {
  /** W3C context, for what is started from within the attempt. */
  readonly traceparent: string;
  /** Runs code that belongs to the attempt: spans made by it are the attempt's children. */
  within<T>(code: () => T): T;
  /** The body is over; how the attempt ended is said once that is recorded. */
  stop(): void;
  /** Says so once; an attempt that never ends leaves no span. */
  end(outcome: AttemptOutcome, errorType?: string): void;
  noteModelCall(call: ModelCall): void;
}

export interface AttemptFacts {
  readonly key: string;
  readonly name: string;
  readonly attempt: number;
  /** Of the step that this one was asked for in. */
  readonly around: StepTrace | undefined;
  /** The attempt before was started and never ended: it went down with its worker. */
  readonly lost:
    | { readonly attempt: number; readonly startMs: number; readonly endMs: number }
    | undefined;
}

/** One execution of a run by this process. */
export interface RunTrace {
  readonly traceparent: string;
  /** Whether `end` was called. */
  readonly ended: boolean;
  step(facts: AttemptFacts): StepTrace;
  /** The outcome of the run is recorded; with the type of its error, if it failed. */
  end(errorType: string | undefined): void;
}

/** What is known of a run when its execution starts. */
export interface TracedRun {
  readonly runId: string;
  readonly workflow: string;
  readonly version: string;
  readonly attempt: number;
  readonly sessionId: string;
  readonly userId: string;
  readonly traceparent: string;
  /** When it was started, or retried, by the server's clock; 0: not known. */
  readonly startedMs: number;
  /** How often it was retried after it had failed. */
  readonly retries: number;
}

/** The start of a run by a client. */
export interface StartTrace {
  readonly traceparent: string;
  end(runId: string, error?: unknown): void;
}

export interface Tracing {
  run(facts: TracedRun): RunTrace;
  start(workflow: string, traceparent: string): StartTrace;
  /** Sends what has not been sent yet. */
  flush(): Promise<void>;
}
