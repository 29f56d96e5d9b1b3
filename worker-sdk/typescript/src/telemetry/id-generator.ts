import { getRandomValues } from "node:crypto";

function random(bytes: number): string {
  return Buffer.from(getRandomValues(new Uint8Array(bytes))).toString("hex");
}

let next: { readonly traceId: string; readonly spanId: string } | undefined;

/**
 * The ids of spans: random, but for those that Pawl derives. For a program that sets up
 * OpenTelemetry by itself: `new NodeSDK({ idGenerator: spanIdGenerator })`. Without it, spans of a
 * run that several processes executed have no common parent but the run's starter.
 */
export const spanIdGenerator = Object.freeze({
  generateTraceId: (): string => next?.traceId ?? random(16),
  generateSpanId: (): string => next?.spanId ?? random(8),
});

/** Starts a span under these ids. */
export function withIds<T>(
  ids: { readonly traceId: string; readonly spanId: string },
  start: () => T,
): T {
  next = ids;
  try {
    return start();
  } finally {
    next = undefined;
  }
}
