/**
 * Whether there is tracing, decided once per process: when the program has registered a tracer
 * provider of its own, that one; otherwise `@opentelemetry/sdk-node`, where the standard OTEL_*
 * variables name a receiver.
 */
import type { Logger } from "../lib/logger.ts";
import { spanIdGenerator } from "./id-generator.ts";
import type { Tracing } from "./trace.ts";

const flushMs = 2_000;

type Environment = Readonly<Record<string, string | undefined>>;

let loading: Promise<Tracing | undefined> | undefined;
let loaded: Tracing | undefined;

/** Whether the environment asks for traces to be sent somewhere. */
export function tracesConfigured(env: Environment): boolean {
  if (env.OTEL_SDK_DISABLED?.toLowerCase() === "true") return false;
  const exporter = env.OTEL_TRACES_EXPORTER ?? "";
  if (exporter !== "") return exporter !== "none";
  return Boolean(env.OTEL_EXPORTER_OTLP_ENDPOINT || env.OTEL_EXPORTER_OTLP_TRACES_ENDPOINT);
}

/** Where OpenTelemetry's API keeps what was registered; looked at so that it need not be loaded. */
function providerRegistered(): boolean {
  const registered: unknown = Reflect.get(globalThis, Symbol.for("opentelemetry.js.api.1"));
  return typeof registered === "object" && registered !== null && "trace" in registered;
}

/** Tracing, if there is any. Loads it at the first call that finds it configured. */
export async function loadTracing(logger: Logger): Promise<Tracing | undefined> {
  if (loading === undefined && !providerRegistered() && !tracesConfigured(process.env)) {
    return undefined;
  }
  loading ??= load(logger);
  loaded = await loading;
  return loaded;
}

/** What `loadTracing` has found, without waiting. */
export function currentTracing(): Tracing | undefined {
  return loaded;
}

async function load(logger: Logger): Promise<Tracing | undefined> {
  try {
    const own = !providerRegistered();
    if (own) await startSdk();
    const { otelTracing } = await import("./otel.ts");
    const { ProxyTracerProvider, trace } = await import("@opentelemetry/api");
    return otelTracing(async () => {
      if (!own) return;
      const provider = trace.getTracerProvider();
      const made = provider instanceof ProxyTracerProvider ? provider.getDelegate() : provider;
      if (!("forceFlush" in made) || typeof made.forceFlush !== "function") return;
      try {
        await Promise.race([made.forceFlush(), patience()]);
      } catch (error) {
        logger.warn("some spans could not be sent", { error: String(error) });
      }
    });
  } catch (error) {
    logger.warn(
      "there will be no traces: OTEL_* variables ask for them, but OpenTelemetry cannot be loaded; " +
        "install @opentelemetry/sdk-node, or set OTEL_SDK_DISABLED=true",
      { error: String(error) },
    );
    return undefined;
  }
}

/** A receiver that does not answer holds nobody up for longer. */
function patience(): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, flushMs).unref());
}

async function startSdk(): Promise<void> {
  const { NodeSDK } = await import("@opentelemetry/sdk-node");
  const { env } = process;
  // All detectors would add the command line, which may hold secrets.
  env.OTEL_NODE_RESOURCE_DETECTORS ||= "env,host,os,serviceinstance";
  const isNamed =
    Boolean(env.OTEL_SERVICE_NAME) || env.OTEL_RESOURCE_ATTRIBUTES?.includes("service.name=");
  const sdk = new NodeSDK({
    idGenerator: spanIdGenerator,
    instrumentations: [],
    metricReaders: [],
    logRecordProcessors: [],
    ...(isNamed ? {} : { serviceName: "pawl-worker" }),
  });
  sdk.start();
}
