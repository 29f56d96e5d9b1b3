/**
 * Spans of the server. There is tracing only where the standard OTEL_* variables name a receiver;
 * nothing of OpenTelemetry is loaded otherwise.
 */
import type { Log } from "../lib/log.ts";

export type SpanAttributes = Readonly<Record<string, string | number | boolean>>;

/** A span that is over. Times in ms since the epoch. */
export interface FinishedSpan {
  readonly name: string;
  /** W3C context of the trace that it belongs to. */
  readonly traceparent: string;
  /** Instead of the span that `traceparent` names. */
  readonly parentId?: string;
  /** Default: random. */
  readonly spanId?: string;
  readonly start: number;
  readonly end: number;
  readonly attributes: SpanAttributes;
  /** The type of what went wrong. */
  readonly errorType?: string;
}

export interface Tracing {
  /**
   * Does something within a span of its own, below `traceparent` or at the root of a new trace;
   * `work` gets the span's own context, and answers the attributes that are known only at its end.
   */
  serve<T>(
    name: string,
    traceparent: string,
    work: (
      traceparent: string,
    ) => Promise<{ readonly answer: T; readonly attributes: SpanAttributes }>,
  ): Promise<T>;
  finished(span: FinishedSpan): void;
  /** Sends what has not been sent yet, and ends. Does not reject. */
  stop(): Promise<void>;
}

type Environment = Readonly<Record<string, string | undefined>>;

/** Whether the environment asks for traces to be sent somewhere. */
export function tracesConfigured(env: Environment): boolean {
  if (env.OTEL_SDK_DISABLED?.toLowerCase() === "true") return false;
  const exporter = env.OTEL_TRACES_EXPORTER ?? "";
  if (exporter !== "") return exporter !== "none";
  return Boolean(env.OTEL_EXPORTER_OTLP_ENDPOINT || env.OTEL_EXPORTER_OTLP_TRACES_ENDPOINT);
}

export async function loadTracing(env: NodeJS.ProcessEnv, log: Log): Promise<Tracing | undefined> {
  if (!tracesConfigured(env)) return undefined;
  const { startTracing } = await import("./otel.ts");
  return startTracing(env, log);
}
