/**
 * The same metrics as at /metrics, sent by OTLP. Their names lose what OpenTelemetry keeps in fields of
 * its own (`_total`, the unit), and get it back where they come to Prometheus.
 */
import { type HrTime, ValueType } from "@opentelemetry/api";
import { OTLPMetricExporter } from "@opentelemetry/exporter-metrics-otlp-proto";
import {
  AggregationTemporality,
  type CollectionResult,
  type DataPoint,
  DataPointType,
  type IMetricReader,
  type MetricData,
  PeriodicExportingMetricReader,
} from "@opentelemetry/sdk-metrics";
import { systemClock } from "../lib/clock.ts";
import type { MetricFamily, Registry } from "../lib/metrics.ts";
import { VERSION } from "../lib/version.ts";

const UNITS: readonly [suffix: string, unit: string][] = [
  ["_seconds", "s"],
  ["_bytes", "By"],
];
const INTERVAL_MS = 60_000;
const TIMEOUT_MS = 30_000;

type Environment = Readonly<Record<string, string | undefined>>;

/** Sends what the registry has, every OTEL_METRIC_EXPORT_INTERVAL ms. */
export function metricReader(registry: Registry, env: Environment): IMetricReader {
  const startTime = hrTime(systemClock.now());
  const interval = Number(env.OTEL_METRIC_EXPORT_INTERVAL) || INTERVAL_MS;
  const timeout = Number(env.OTEL_METRIC_EXPORT_TIMEOUT) || TIMEOUT_MS;
  return new PeriodicExportingMetricReader({
    exporter: new OTLPMetricExporter(),
    exportIntervalMillis: interval,
    exportTimeoutMillis: Math.min(interval, timeout),
    metricProducers: [{ collect: () => collect(registry, startTime) }],
  });
}

/** The reader puts the process's own in its place. */
const NO_RESOURCE: CollectionResult["resourceMetrics"]["resource"] = {
  attributes: {},
  merge: (other) => other ?? NO_RESOURCE,
  getRawAttributes: () => [],
};

async function collect(registry: Registry, startTime: HrTime): Promise<CollectionResult> {
  const families = await registry.collect();
  const endTime = hrTime(systemClock.now());
  const metrics = families.map((family) => metricOf(family, { startTime, endTime }));
  const scope = { name: "@pawl/server", version: VERSION };
  return {
    resourceMetrics: { resource: NO_RESOURCE, scopeMetrics: [{ scope, metrics }] },
    errors: [],
  };
}

type Times = Pick<DataPoint<unknown>, "startTime" | "endTime">;

function metricOf(family: MetricFamily, times: Times): MetricData {
  const base = {
    descriptor: descriptorOf(family),
    aggregationTemporality: AggregationTemporality.CUMULATIVE,
  };
  if (family.type === "histogram") {
    const dataPoints = family.samples.map(({ labels, bounds, counts, sum, count }) => ({
      ...times,
      attributes: { ...labels },
      value: { buckets: { boundaries: [...bounds], counts: [...counts] }, sum, count },
    }));
    return { ...base, dataPointType: DataPointType.HISTOGRAM, dataPoints };
  }
  const dataPoints = family.samples.map(({ labels, value }) => ({
    ...times,
    attributes: { ...labels },
    value,
  }));
  return family.type === "gauge"
    ? { ...base, dataPointType: DataPointType.GAUGE, dataPoints }
    : { ...base, dataPointType: DataPointType.SUM, dataPoints, isMonotonic: true };
}

function descriptorOf({ name, help, type }: MetricFamily) {
  let short = type === "counter" ? name.replace(/_total$/, "") : name;
  let unit = "";
  for (const [suffix, known] of UNITS) {
    if (!short.endsWith(suffix)) continue;
    short = short.slice(0, -suffix.length);
    unit = known;
  }
  return { name: short, description: help, unit, valueType: ValueType.DOUBLE };
}

function hrTime(ms: number): HrTime {
  return [Math.floor(ms / 1_000), (ms % 1_000) * 1_000_000];
}
