/** A receiver of OTLP over HTTP, by OpenTelemetry's own protobufs. */
import { execFileSync } from "node:child_process";
import { createServer } from "node:http";
import { join } from "node:path";
import { createFileRegistry, fromBinary, toJson } from "@bufbuild/protobuf";
import { FileDescriptorSetSchema } from "@bufbuild/protobuf/wkt";

const REQUEST = "opentelemetry.proto.collector.trace.v1.ExportTraceServiceRequest";

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

export interface Collector {
  readonly url: string;
  readonly spans: readonly ReceivedSpan[];
  /** All that came in, as text. */
  readonly text: string;
  /** The first spans of that name and number; waits for them. */
  named(name: string, count?: number): Promise<ReceivedSpan[]>;
  close(): Promise<void>;
}

function schema() {
  const root = join(import.meta.dirname, "..", "..");
  const files = execFileSync(
    join(root, "node_modules", ".bin", "buf"),
    ["build", join(import.meta.dirname, "otlp"), "-o", "-#format=binpb"],
    { maxBuffer: 1 << 24 },
  );
  const registry = createFileRegistry(fromBinary(FileDescriptorSetSchema, files));
  const message = registry.getMessage(REQUEST);
  if (message === undefined) throw new Error(`There is no ${REQUEST}.`);
  return message;
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
  const message = schema();
  const spans: ReceivedSpan[] = [];
  let text = "";
  const server = createServer((request, response) => {
    const pieces: Buffer[] = [];
    request.on("data", (piece: Buffer) => pieces.push(piece));
    request.on("end", () => {
      const json = toJson(message, fromBinary(message, Buffer.concat(pieces)));
      text += JSON.stringify(json);
      spans.push(...spansOf(json as WireRequest));
      response.writeHead(200, { "content-type": "application/x-protobuf" }).end();
    });
  });
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  const address = server.address();
  const port = typeof address === "object" && address !== null ? address.port : 0;
  return {
    url: `http://127.0.0.1:${port}`,
    spans,
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
