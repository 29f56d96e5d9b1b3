import type { LogFields } from "../lib/log.ts";

/** Where the engine reports what it does; one line each, never a payload. */
export interface EngineLog {
  /** Whether `debug` writes at all. Default: no. */
  readonly debugging?: boolean;
  debug?(message: string, fields?: LogFields): void;
  info(message: string, fields?: LogFields): void;
  warn(message: string, fields?: LogFields): void;
  error(message: string, fields?: LogFields): void;
}
