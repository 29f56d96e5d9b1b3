/** Spans by OpenTelemetry. Loaded only where it is configured. */
import {
  type Context,
  isSpanContextValid,
  ROOT_CONTEXT,
  type Span,
  type SpanContext,
  SpanKind,
  SpanStatusCode,
  type Tracer,
  trace,
} from "@opentelemetry/api";
import type { IMetricReader } from "@opentelemetry/sdk-metrics";
import { NodeSDK } from "@opentelemetry/sdk-node";
import { sleep } from "../lib/clock.ts";
import { randomHex } from "../lib/ids.ts";
import type { Log } from "../lib/log.ts";
import { VERSION } from "../lib/version.ts";
import type { Signals, Telemetry } from "./telemetry.ts";
import type { FinishedSpan, SpanAttributes, Tracing } from "./tracing.ts";

/** A receiver that does not answer holds a stop up for this long. */
const STOP_MS = 2_000;

let nextSpanId: string | undefined;

const idGenerator = {
  generateTraceId: (): string => randomHex(16),
  generateSpanId: (): string => nextSpanId ?? randomHex(8),
};

function withSpanId<T>(spanId: string | undefined, start: () => T): T {
  nextSpanId = spanId;
  try {
    return start();
  } finally {
    nextSpanId = undefined;
  }
}

function parse(traceparent: string): SpanContext | undefined {
  const match = /^[\da-f]{2}-([\da-f]{32})-([\da-f]{16})-([\da-f]{2})/.exec(traceparent);
  const [, traceId, spanId, flags] = match ?? [];
  if (traceId === undefined || spanId === undefined || flags === undefined) return undefined;
  const parsed = { traceId, spanId, traceFlags: Number.parseInt(flags, 16), isRemote: true };
  return isSpanContextValid(parsed) ? parsed : undefined;
}

function format({ traceId, spanId, traceFlags }: SpanContext): string {
  return `00-${traceId}-${spanId}-${traceFlags.toString(16).padStart(2, "0")}`;
}

function below(parent: SpanContext | undefined): Context {
  return parent === undefined ? ROOT_CONTEXT : trace.setSpanContext(ROOT_CONTEXT, parent);
}

function fail(span: Span, errorType: string): void {
  span.setAttribute("error.type", errorType);
  span.setStatus({ code: SpanStatusCode.ERROR, message: errorType });
}

/** The reason from the table of errors, or the class: messages may contain user data. */
function typeOf(error: unknown): string {
  if (!(error instanceof Error)) return "Error";
  return "reason" in error && typeof error.reason === "string" ? error.reason : error.name;
}

export function startTelemetry(
  env: NodeJS.ProcessEnv,
  signals: Signals,
  reader: IMetricReader | undefined,
  log: Log,
): Telemetry {
  // All detectors would add the command line, which may hold the password of a database.
  env.OTEL_NODE_RESOURCE_DETECTORS ||= "env,host,os,serviceinstance";
  const isNamed =
    Boolean(env.OTEL_SERVICE_NAME) || env.OTEL_RESOURCE_ATTRIBUTES?.includes("service.name=");
  const sdk = new NodeSDK({
    idGenerator,
    instrumentations: [],
    metricReaders: reader === undefined ? [] : [reader],
    logRecordProcessors: [],
    ...(signals.traces ? {} : { spanProcessors: [] }),
    ...(isNamed ? {} : { serviceName: "pawl-server" }),
  });
  sdk.start();
  log.info("telemetry.started", { ...signals });
  return {
    tracing: signals.traces ? tracingBy(trace.getTracer("@pawl/server", VERSION)) : undefined,
    async stop() {
      const given = new AbortController();
      const late = sleep(STOP_MS, given.signal).then(
        () => log.warn("telemetry.unsent", { message: "The receiver does not answer." }),
        () => undefined,
      );
      await Promise.race([late, shutDown(sdk, log)]);
      given.abort();
    },
  };
}

async function shutDown(sdk: NodeSDK, log: Log): Promise<void> {
  try {
    await sdk.shutdown();
  } catch (error) {
    log.warn("telemetry.unsent", { error });
  }
}

function tracingBy(tracer: Tracer): Tracing {
  return {
    serve: (name, traceparent, work) => serve(tracer, name, traceparent, work),
    finished: (span) => finish(tracer, span),
  };
}

async function serve<T>(
  tracer: Tracer,
  name: string,
  traceparent: string,
  work: (
    traceparent: string,
  ) => Promise<{ readonly answer: T; readonly attributes: SpanAttributes }>,
): Promise<T> {
  const span = tracer.startSpan(name, { kind: SpanKind.SERVER }, below(parse(traceparent)));
  try {
    const { answer, attributes } = await work(format(span.spanContext()));
    span.setAttributes({ ...attributes });
    return answer;
  } catch (error) {
    fail(span, typeOf(error));
    throw error;
  } finally {
    span.end();
  }
}

function finish(tracer: Tracer, finished: FinishedSpan): void {
  const given = parse(finished.traceparent);
  if (given === undefined) return;
  const parent = finished.parentId === undefined ? given : { ...given, spanId: finished.parentId };
  const span = withSpanId(finished.spanId, () =>
    tracer.startSpan(
      finished.name,
      {
        kind: SpanKind.INTERNAL,
        startTime: finished.start,
        attributes: { ...finished.attributes },
      },
      below(parent),
    ),
  );
  if (finished.errorType !== undefined) fail(span, finished.errorType);
  span.end(Math.max(finished.start, finished.end));
}
