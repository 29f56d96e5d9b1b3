/**
 * What the server reports itself: events under short constant names (`server.ready`), their facts
 * in fields of a closed set, so that lines can be searched and counted. Payloads and secrets never
 * go in.
 */
export const LOG_LEVELS = ["debug", "info", "warn", "error", "off"] as const;
export type LogLevel = (typeof LOG_LEVELS)[number];

export const LOG_FORMATS = ["json", "text"] as const;
export type LogFormat = (typeof LOG_FORMATS)[number];

/** All there are; docs/observability.md reports each. */
export const LOG_FIELDS = [
  "after_ms",
  "attempt",
  "entry",
  "error",
  "error_type",
  "frame",
  "grpc",
  "http",
  "id",
  "leases",
  "limit_bytes",
  "lines",
  "loop",
  "message",
  "method",
  "metrics",
  "name",
  "next",
  "org",
  "path",
  "pid",
  "ready_ms",
  "reason",
  "run_id",
  "connection_id",
  "signal",
  "span_id",
  "step_key",
  "store",
  "task",
  "trace_id",
  "traces",
  "version",
  "worker_id",
  "workflow",
] as const;
export type LogField = (typeof LOG_FIELDS)[number];

/** What is known about an event. An Error is written with its stack and its chain of causes. */
export type LogFields = Readonly<Partial<Record<LogField, unknown>>>;

export interface Log {
  /** Whether `debug` writes at all, for who would have to put facts together for it. */
  readonly debugging: boolean;
  debug(event: string, fields?: LogFields): void;
  info(event: string, fields?: LogFields): void;
  warn(event: string, fields?: LogFields): void;
  error(event: string, fields?: LogFields): void;
}

function silent(): void {
  return;
}

/** For tests and embedding: nothing is written. */
export const SILENT_LOG: Log = Object.freeze({
  debugging: false,
  debug: silent,
  info: silent,
  warn: silent,
  error: silent,
});
