/**
 * Spans by OpenTelemetry.
 *
 * 1. A span is ended only when what it tells is recorded in the journal, so there is one span for
 *    each recorded attempt, and none for a replay.
 * 2. An attempt that went down with its worker is reported by the worker that makes the next one.
 * 3. Failures are told by their type alone: messages may hold what users sent.
 */
import {
  type Attributes,
  type Context,
  context,
  isSpanContextValid,
  ROOT_CONTEXT,
  type Span,
  type SpanContext,
  SpanKind,
  SpanStatusCode,
  type Tracer,
  trace,
} from "@opentelemetry/api";
import { sdkVersion } from "../version.ts";
import { withIds } from "./id-generator.ts";
import { type ModelCall, modelAttributes } from "./model-call.ts";
import { runSpanId, stepSpanId, traceIdOf } from "./span-ids.ts";
import type {
  AttemptFacts,
  AttemptOutcome,
  RunTrace,
  StartTrace,
  StepTrace,
  TracedRun,
  Tracing,
} from "./trace.ts";

const failedOutcomes: readonly AttemptOutcome[] = ["failed", "retrying"];

/** In ms since the epoch, finer than the system's clock and never going back. */
function nowMs(): number {
  return performance.timeOrigin + performance.now();
}

function format({ traceId, spanId, traceFlags }: SpanContext): string {
  return `00-${traceId}-${spanId}-${traceFlags.toString(16).padStart(2, "0")}`;
}

function parse(traceparent: string): SpanContext | undefined {
  const match = /^[\da-f]{2}-([\da-f]{32})-([\da-f]{16})-([\da-f]{2})/.exec(traceparent);
  const [, traceId, spanId, flags] = match ?? [];
  if (traceId === undefined || spanId === undefined || flags === undefined) return undefined;
  const parsed = { traceId, spanId, traceFlags: Number.parseInt(flags, 16), isRemote: true };
  return isSpanContextValid(parsed) ? parsed : undefined;
}

function below(parent: SpanContext | undefined): Context {
  return parent === undefined ? ROOT_CONTEXT : trace.setSpanContext(ROOT_CONTEXT, parent);
}

function fail(span: Span, errorType: string): void {
  span.setAttribute("error.type", errorType);
  span.setStatus({ code: SpanStatusCode.ERROR, message: errorType });
}

class OtelStep implements StepTrace {
  readonly #span: Span;
  #endMs = 0;
  #ended = false;
  #inputTokens = 0;
  #outputTokens = 0;

  constructor(span: Span) {
    this.#span = span;
  }

  get span(): Span {
    return this.#span;
  }

  get traceparent(): string {
    return format(this.#span.spanContext());
  }

  within<T>(code: () => T): T {
    return context.with(trace.setSpan(context.active(), this.#span), code);
  }

  stop(): void {
    if (this.#endMs === 0) this.#endMs = nowMs();
  }

  end(outcome: AttemptOutcome, errorType = ""): void {
    if (this.#ended) return;
    this.#ended = true;
    this.stop();
    this.#span.setAttribute("pawl.step.outcome", outcome);
    if (failedOutcomes.includes(outcome)) fail(this.#span, errorType || "Error");
    this.#span.end(this.#endMs);
  }

  noteModelCall(call: ModelCall): void {
    this.#inputTokens += call.inputTokens ?? 0;
    this.#outputTokens += call.outputTokens ?? 0;
    this.#span.setAttributes({
      ...modelAttributes(call),
      ...(call.inputTokens === undefined ? {} : { "gen_ai.usage.input_tokens": this.#inputTokens }),
      ...(call.outputTokens === undefined
        ? {}
        : { "gen_ai.usage.output_tokens": this.#outputTokens }),
    });
  }
}

class OtelRun implements RunTrace {
  readonly #tracer: Tracer;
  readonly #facts: TracedRun;
  readonly #span: Span;
  /** What spans without a step around them are children of. */
  readonly #place: SpanContext;
  ended = false;

  constructor(tracer: Tracer, facts: TracedRun) {
    this.#tracer = tracer;
    this.#facts = facts;
    const starter = parse(facts.traceparent);
    const ids = {
      traceId: starter?.traceId ?? traceIdOf(facts.runId),
      spanId: runSpanId(facts.runId, facts.retries),
    };
    this.#span = withIds(ids, () =>
      tracer.startSpan(
        `run ${facts.workflow}`,
        {
          kind: SpanKind.CONSUMER,
          startTime: facts.startedMs === 0 ? nowMs() : facts.startedMs,
          attributes: this.#attributes({
            "pawl.run.attempt": facts.attempt,
            ...(facts.retries === 0 ? {} : { "pawl.run.retries": facts.retries }),
          }),
        },
        below(starter),
      ),
    );
    const made = this.#span.spanContext();
    // With somebody else's ids, no other process would know this span by name.
    this.#place = made.spanId === ids.spanId ? made : (starter ?? made);
  }

  #attributes(more: Attributes): Attributes {
    const { runId, workflow, version, sessionId, userId } = this.#facts;
    return {
      "pawl.run.id": runId,
      "pawl.workflow.name": workflow,
      ...(version === "" ? {} : { "pawl.workflow.version": version }),
      ...(sessionId === "" ? {} : { "session.id": sessionId }),
      ...(userId === "" ? {} : { "user.id": userId }),
      ...more,
    };
  }

  get traceparent(): string {
    return format(this.#place);
  }

  step(facts: AttemptFacts): StepTrace {
    if (facts.lost !== undefined) this.#tellLost(facts, facts.lost);
    return new OtelStep(this.#startStep(facts, facts.attempt, nowMs(), facts.lost !== undefined));
  }

  #startStep(facts: AttemptFacts, attempt: number, startMs: number, recovery: boolean): Span {
    const { runId } = this.#facts;
    const { key, name, around } = facts;
    const { traceId, traceFlags } = this.#place;
    const spanId = stepSpanId(runId, key, attempt);
    const before = { traceId, traceFlags, spanId: stepSpanId(runId, key, attempt - 1) };
    const parent = around instanceof OtelStep ? around.span.spanContext() : this.#place;
    return withIds({ traceId, spanId }, () =>
      this.#tracer.startSpan(
        `step ${name}`,
        {
          kind: SpanKind.INTERNAL,
          startTime: startMs,
          attributes: this.#attributes({
            "pawl.run.attempt": this.#facts.attempt,
            "pawl.step.key": key,
            "pawl.step.name": name,
            "pawl.step.attempt": attempt,
            ...(attempt > 1 ? { "pawl.step.retry": true } : {}),
            ...(recovery ? { "pawl.step.recovery": true } : {}),
          }),
          links:
            attempt > 1
              ? [{ context: before, attributes: { "pawl.link": "previous attempt" } }]
              : [],
        },
        below(parent),
      ),
    );
  }

  #tellLost(facts: AttemptFacts, lost: NonNullable<AttemptFacts["lost"]>): void {
    const span = this.#startStep(facts, lost.attempt, lost.startMs, false);
    span.setAttribute("pawl.step.outcome", "lost");
    fail(span, "LeaseLost");
    span.end(Math.max(lost.startMs, lost.endMs));
  }

  end(errorType: string | undefined): void {
    this.ended = true;
    this.#span.setAttribute("pawl.run.outcome", outcomeOf(errorType));
    if (errorType !== undefined) fail(this.#span, errorType);
    // The start is by the server's clock.
    this.#span.end(Math.max(nowMs(), this.#facts.startedMs));
  }
}

function outcomeOf(errorType: string | undefined): string {
  if (errorType === undefined) return "completed";
  return errorType === "Cancelled" ? "cancelled" : "failed";
}

class OtelTracing implements Tracing {
  readonly #tracer = trace.getTracer("@pawl/worker", sdkVersion);
  readonly #flush: () => Promise<void>;

  constructor(flush: () => Promise<void>) {
    this.#flush = flush;
  }

  run(facts: TracedRun): RunTrace {
    return new OtelRun(this.#tracer, facts);
  }

  start(workflow: string, traceparent: string): StartTrace {
    const given = parse(traceparent);
    const span = this.#tracer.startSpan(
      `start ${workflow}`,
      { kind: SpanKind.CLIENT, attributes: { "pawl.workflow.name": workflow } },
      given === undefined ? context.active() : below(given),
    );
    return {
      traceparent: format(span.spanContext()),
      end: (runId, error) => {
        span.setAttribute("pawl.run.id", runId);
        if (error !== undefined) fail(span, error instanceof Error ? error.name : "Error");
        span.end();
      },
    };
  }

  flush(): Promise<void> {
    return this.#flush();
  }
}

/** Spans through whatever provider is registered by now. */
export function otelTracing(flush: () => Promise<void>): Tracing {
  return new OtelTracing(flush);
}
