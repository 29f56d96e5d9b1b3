/**
 * OpenTelemetry, where the standard OTEL_* variables name a receiver; nothing of it is loaded
 * otherwise.
 */
import type { Log } from "../lib/log.ts";
import type { Registry } from "../lib/metrics.ts";
import type { Tracing } from "./tracing.ts";

export interface Telemetry {
  /** Undefined where only metrics are sent. */
  readonly tracing: Tracing | undefined;
  /** Sends what has not been sent yet, for a moment at most, and ends. Does not reject. */
  stop(): Promise<void>;
}

/** What is to be sent. */
export interface Signals {
  readonly traces: boolean;
  readonly metrics: boolean;
}

type Environment = Readonly<Record<string, string | undefined>>;

/** What the environment asks for. */
export function configuredSignals(env: Environment): Signals {
  const off = env.OTEL_SDK_DISABLED?.toLowerCase() === "true";
  const asked = (exporter: string | undefined, endpoint: string | undefined): boolean => {
    if (off) return false;
    if (exporter) return exporter !== "none";
    return Boolean(env.OTEL_EXPORTER_OTLP_ENDPOINT || endpoint);
  };
  const traces = asked(env.OTEL_TRACES_EXPORTER, env.OTEL_EXPORTER_OTLP_TRACES_ENDPOINT);
  // For Prometheus there is /metrics.
  const exporter = env.OTEL_METRICS_EXPORTER === "prometheus" ? "none" : env.OTEL_METRICS_EXPORTER;
  return { traces, metrics: asked(exporter, env.OTEL_EXPORTER_OTLP_METRICS_ENDPOINT) };
}

export async function loadTelemetry(
  env: NodeJS.ProcessEnv,
  registry: Registry,
  log: Log,
): Promise<Telemetry | undefined> {
  const signals = configuredSignals(env);
  if (!signals.traces && !signals.metrics) return undefined;
  const { startTelemetry } = await import("./otel.ts");
  const reader = signals.metrics
    ? (await import("./otlp-metrics.ts")).metricReader(registry, env)
    : undefined;
  return startTelemetry(env, signals, reader, log);
}
