/**
 * The log: one JSON object per line, `{time, level, event, …fields}`, to standard error, or a line
 * for people where that is a terminal. Events are short constant names (`server.listening`), facts go
 * into fields, so that lines can be searched and counted. Payloads and secrets never go in.
 */
import { styleText } from "node:util";

export const LOG_LEVELS = ["debug", "info", "warn", "error", "off"] as const;
export type LogLevel = (typeof LOG_LEVELS)[number];

/** What is known about an event. An Error is written with its stack and its chain of causes. */
export type LogFields = Readonly<Record<string, unknown>>;

export const LOG_FORMATS = ["json", "text"] as const;
export type LogFormat = (typeof LOG_FORMATS)[number];

export interface Log {
  /** Whether `debug` writes at all, for who would have to put facts together for it. */
  readonly debugging: boolean;
  debug(event: string, fields?: LogFields): void;
  info(event: string, fields?: LogFields): void;
  warn(event: string, fields?: LogFields): void;
  error(event: string, fields?: LogFields): void;
}

export interface LogOptions {
  /** Events below it are dropped; `info` by default. */
  readonly level?: LogLevel;
  /** `json` by default. */
  readonly format?: LogFormat;
  /** Takes whole lines without their line break; standard error by default. */
  readonly write?: (line: string) => void;
  /** In ms since the epoch; the system's clock by default. */
  readonly now?: () => number;
}

/** Deeper chains are cut. */
const CAUSES_MAX = 6;
const TEXT_MAX = 4_096;

export function createLog(options: LogOptions = {}): Log {
  const least = LOG_LEVELS.indexOf(options.level ?? "info");
  const now = options.now ?? Date.now;
  const write = options.write ?? ((line: string) => void process.stderr.write(`${line}\n`));

  function writer(level: Exclude<LogLevel, "off">): Log["info"] {
    if (LOG_LEVELS.indexOf(level) < least) return () => undefined;
    return (event, fields = {}) => {
      const line: Record<string, unknown> = { time: new Date(now()).toISOString(), level, event };
      for (const [name, value] of Object.entries(fields)) line[name] = plain(value, 0);
      write(options.format === "text" ? forPeople(line) : JSON.stringify(line));
    };
  }

  return Object.freeze({
    debugging: least === 0,
    debug: writer("debug"),
    info: writer("info"),
    warn: writer("warn"),
    error: writer("error"),
  });
}

/** For tests and embedding: nothing is written. */
export const SILENT_LOG: Log = createLog({ level: "off" });

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
  return [`${String(time).slice(11, 23)} ${colored} ${String(event)}`, ...facts].join("  ");
}

function fact(value: unknown): string {
  const text = typeof value === "string" ? value : (JSON.stringify(value) ?? "");
  return /[\s"]/.test(text) && typeof value === "string" ? JSON.stringify(text) : text;
}

function cut(text: string): string {
  return text.length <= TEXT_MAX ? text : `${text.slice(0, TEXT_MAX)}…`;
}
