/** The log in lines: JSON by pino, `{level, time, event, …fields}`, or text for people. */
import { styleText } from "node:util";
import { pino } from "pino";
import { LOG_LEVELS, type Log, type LogFields, type LogFormat, type LogLevel } from "./log.ts";
import { type LogOutput, standardError } from "./log-output.ts";

export interface LogOptions {
  /** Events below it are dropped; `info` by default. */
  readonly level?: LogLevel;
  /** `json` by default. */
  readonly format?: LogFormat;
  /** Takes whole lines; standard error by default. */
  readonly output?: Pick<LogOutput, "write" | "full">;
  /** The time in ms since the epoch; the system's clock by default. */
  readonly now?: () => number;
}

/** Deeper chains are cut. */
const CAUSES_MAX = 6;
const TEXT_MAX = 4_096;

export function createLog(options: LogOptions = {}): Log {
  const level = options.level ?? "info";
  const now = options.now ?? Date.now;
  const output = options.output ?? standardError();
  let dropped = 0;
  const lines = {
    write(line: string): void {
      if (output.full()) {
        dropped += 1;
        return;
      }
      if (dropped > 0) {
        const missing = dropped;
        dropped = 0;
        logger.warn({ event: "log.dropped", lines: missing });
      }
      output.write(options.format === "text" ? forPeople(JSON.parse(line)) : line);
    },
  };
  // No transport: those run in threads of their own, which costs memory and loses lines at a crash.
  const logger = pino(
    {
      level: level === "off" ? "silent" : level,
      base: null,
      timestamp: () => `,"time":"${new Date(now()).toISOString()}"`,
      formatters: { level: (label) => ({ level: label }), log: plainFields },
    },
    lines,
  );
  return Object.freeze({
    debugging: level === "debug",
    debug: (event: string, fields?: LogFields) => logger.debug({ event, ...fields }),
    info: (event: string, fields?: LogFields) => logger.info({ event, ...fields }),
    warn: (event: string, fields?: LogFields) => logger.warn({ event, ...fields }),
    error: (event: string, fields?: LogFields) => logger.error({ event, ...fields }),
  });
}

function plainFields(fields: Record<string, unknown>): Record<string, unknown> {
  return Object.fromEntries(Object.entries(fields).map(([name, value]) => [name, plain(value, 0)]));
}

function plain(value: unknown, depth: number): unknown {
  if (typeof value === "string") return cut(value);
  if (typeof value === "bigint") return String(value);
  if (!(value instanceof Error)) return value;
  const error: Record<string, unknown> = { type: value.name, message: cut(messageOf(value)) };
  if ("reason" in value && typeof value.reason === "string") error.reason = value.reason;
  if ("code" in value) error.code = String(value.code);
  if (value.stack !== undefined) error.stack = cut(stackOf(value));
  if (value.cause !== undefined && depth < CAUSES_MAX) error.cause = plain(value.cause, depth + 1);
  return error;
}

/** What JSON.parse says quotes what it was given, which may be a payload. */
function messageOf(error: Error): string {
  return error instanceof SyntaxError ? "(not shown: it may quote a payload)" : error.message;
}

function stackOf(error: Error): string {
  const stack = error.stack ?? "";
  return error instanceof SyntaxError
    ? stack.slice(Math.max(0, stack.indexOf("\n    at ")))
    : stack;
}

const COLORS = { debug: "dim", info: "green", warn: "yellow", error: "red" } as const;

/** `12:00:00.000 INFO  server.ready  grpc=127.0.0.1:50051` */
function forPeople(line: Readonly<Record<string, unknown>>): string {
  const { time, level, event, ...fields } = line;
  const facts = Object.entries(fields).map(([name, value]) => `${name}=${fact(value)}`);
  const shown = String(level).toUpperCase().padEnd(5);
  const color = LOG_LEVELS.find((known) => known === level);
  const colored =
    color === undefined || color === "off"
      ? shown
      : styleText(COLORS[color], shown, { stream: process.stderr });
  return `${[`${String(time).slice(11, 23)} ${colored} ${String(event)}`, ...facts].join("  ")}\n`;
}

function fact(value: unknown): string {
  const text = typeof value === "string" ? value : (JSON.stringify(value) ?? "");
  return /[\s"]/.test(text) && typeof value === "string" ? JSON.stringify(text) : text;
}

function cut(text: string): string {
  return text.length <= TEXT_MAX ? text : `${text.slice(0, TEXT_MAX)}…`;
}
