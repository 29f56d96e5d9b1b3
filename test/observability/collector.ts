/** A receiver of OTLP over HTTP, by OpenTelemetry's own protobufs. */
import { execFileSync } from "node:child_process";
import { createServer } from "node:http";
import { join } from "node:path";
import { createFileRegistry, fromBinary, toJson } from "@bufbuild/protobuf";
import { FileDescriptorSetSchema } from "@bufbuild/protobuf/wkt";

const TRACES = "opentelemetry.proto.collector.trace.v1.ExportTraceServiceRequest";
const METRICS = "opentelemetry.proto.collector.metrics.v1.ExportMetricsServiceRequest";

interface WireValue {
  stringValue?: string;
  intValue?: string;
  doubleValue?: number;
  boolValue?: boolean;
  arrayValue?: { values?: WireValue[] };
}
interface WireSpan {
  traceId: string;
  spanId: string;
  parentSpanId?: string;
  name: string;
  kind?: string;
  startTimeUnixNano: string;
  endTimeUnixNano: string;
  attributes?: { key: string; value: WireValue }[];
  links?: { spanId: string }[];
  status?: { code?: string };
}
interface WireRequest {
  resourceSpans?: {
    resource?: { attributes?: { key: string; value: WireValue }[] };
    scopeSpans?: { spans?: WireSpan[] }[];
  }[];
}

/** Ids are in base64. */
export interface ReceivedSpan {
  readonly traceId: string;
  readonly spanId: string;
  readonly parentId: string;
  readonly name: string;
  readonly service: string;
  readonly startNs: bigint;
  readonly endNs: bigint;
  readonly attributes: Readonly<Record<string, unknown>>;
  readonly links: readonly string[];
  readonly failed: boolean;
}

export interface ReceivedMetric {
  readonly name: string;
  readonly unit: string;
  readonly kind: "sum" | "gauge" | "histogram";
  /** Over all its series: the sum of values, or of counts. */
  readonly total: number;
}

interface WirePoints {
  dataPoints?: { asDouble?: number; asInt?: string; count?: string }[];
}
interface WireMetrics {
  resourceMetrics?: {
    scopeMetrics?: {
      metrics?: {
        name: string;
        unit?: string;
        sum?: WirePoints;
        gauge?: WirePoints;
        histogram?: WirePoints;
      }[];
    }[];
  }[];
}

function metricsOf(request: WireMetrics): ReceivedMetric[] {
  const all = (request.resourceMetrics ?? [])
    .flatMap(({ scopeMetrics = [] }) => scopeMetrics)
    .flatMap(({ metrics = [] }) => metrics);
  return all.map(({ name, unit = "", sum, gauge, histogram }) => {
    const points = (sum ?? gauge ?? histogram)?.dataPoints ?? [];
    const values = points.map((point) => Number(point.asDouble ?? point.asInt ?? point.count ?? 0));
    const kind = sum !== undefined ? "sum" : gauge !== undefined ? "gauge" : "histogram";
    return { name, unit, kind, total: values.reduce((a, b) => a + b, 0) };
  });
}

export interface Collector {
  readonly url: string;
  readonly spans: readonly ReceivedSpan[];
  /** The latest of each name. */
  readonly metrics: ReadonlyMap<string, ReceivedMetric>;
  /** All that came in, as text. */
  readonly text: string;
  /** The first spans of that name and number; waits for them. */
  named(name: string, count?: number): Promise<ReceivedSpan[]>;
  close(): Promise<void>;
}

function schemas() {
  const root = join(import.meta.dirname, "..", "..");
  const files = execFileSync(
    join(root, "node_modules", ".bin", "buf"),
    ["build", join(import.meta.dirname, "otlp"), "-o", "-#format=binpb"],
    { maxBuffer: 1 << 24 },
  );
  const registry = createFileRegistry(fromBinary(FileDescriptorSetSchema, files));
  const find = (name: string) => {
    const message = registry.getMessage(name);
    if (message === undefined) throw new Error(`There is no ${name}.`);
    return message;
  };
  return { traces: find(TRACES), metrics: find(METRICS) };
}

function plain(value: WireValue): unknown {
  if (value.intValue !== undefined) return Number(value.intValue);
  if (value.arrayValue !== undefined) return (value.arrayValue.values ?? []).map(plain);
  return value.stringValue ?? value.doubleValue ?? value.boolValue;
}

function attributesOf(pairs: readonly { key: string; value: WireValue }[] = []) {
  return Object.fromEntries(pairs.map(({ key, value }) => [key, plain(value)]));
}

function spansOf(request: WireRequest): ReceivedSpan[] {
  return (request.resourceSpans ?? []).flatMap(({ resource, scopeSpans = [] }) => {
    const service = String(attributesOf(resource?.attributes)["service.name"]);
    return scopeSpans
      .flatMap(({ spans = [] }) => spans)
      .map((span) => ({
        traceId: span.traceId,
        spanId: span.spanId,
        parentId: span.parentSpanId ?? "",
        name: span.name,
        service,
        startNs: BigInt(span.startTimeUnixNano),
        endNs: BigInt(span.endTimeUnixNano),
        attributes: attributesOf(span.attributes),
        links: (span.links ?? []).map(({ spanId }) => spanId),
        failed: span.status?.code === "STATUS_CODE_ERROR",
      }));
  });
}

export async function startCollector(): Promise<Collector> {
  const { traces, metrics: metricsRequest } = schemas();
  const metrics = new Map<string, ReceivedMetric>();
  const spans: ReceivedSpan[] = [];
  let text = "";
  const server = createServer((request, response) => {
    const pieces: Buffer[] = [];
    request.on("data", (piece: Buffer) => pieces.push(piece));
    request.on("end", () => {
      const message = request.url === "/v1/metrics" ? metricsRequest : traces;
      const json = toJson(message, fromBinary(message, Buffer.concat(pieces)));
      text += JSON.stringify(json);
      spans.push(...spansOf(json as WireRequest));
      for (const metric of metricsOf(json as WireMetrics)) metrics.set(metric.name, metric);
      response.writeHead(200, { "content-type": "application/x-protobuf" }).end();
    });
  });
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  const address = server.address();
  const port = typeof address === "object" && address !== null ? address.port : 0;
  return {
    url: `http://127.0.0.1:${port}`,
    spans,
    metrics,
    get text() {
      return text;
    },
    async named(name, count = 1) {
      const found = () => spans.filter((span) => span.name === name);
      for (let tries = 0; tries < 600 && found().length < count; tries += 1)
        await new Promise((resolve) => setTimeout(resolve, 50));
      if (found().length < count)
        throw new Error(
          `No "${name}" came; there are ${spans.map((span) => span.name).join(", ")}.`,
        );
      return found();
    },
    close: () =>
      new Promise((resolve) => {
        server.close(() => resolve());
        server.closeAllConnections();
      }),
  };
}
