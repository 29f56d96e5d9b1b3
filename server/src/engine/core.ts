import type { Hub } from "../hub/hub.ts";
import type { Clock } from "../lib/clock.ts";
import type { LogFields } from "../lib/log.ts";
import type { Store } from "../store/store.ts";
import type { Metrics } from "../telemetry/metrics.ts";
import type { Tracing } from "../telemetry/tracing.ts";
import type { NewEvent } from "./api.ts";
import type { Dispatcher } from "./dispatcher.ts";
import type { Feeds } from "./events/feed.ts";
import type { Intake } from "./events/intake.ts";
import type { Refusals } from "./refusals.ts";
import type { Registry } from "./registry.ts";
import type { Sessions } from "./sessions.ts";
import type { Writer } from "./writer.ts";

/** Where the engine reports what it does; one line each, never a payload. */
export interface EngineLog {
  /** Whether `debug` writes at all. Default: no. */
  readonly debugging?: boolean;
  debug?(message: string, fields?: LogFields): void;
  info(message: string, fields?: LogFields): void;
  warn(message: string, fields?: LogFields): void;
  error(message: string, fields?: LogFields): void;
}

/** The engine's collaborators, as its use cases share them. */
export interface Core {
  readonly store: Store;
  readonly clock: Clock;
  readonly log: EngineLog;
  readonly replicaId: string;
  /** Set where all callers are in this process, which it names. */
  readonly process: string | undefined;
  readonly writer: Writer;
  readonly sessions: Sessions;
  readonly dispatcher: Dispatcher;
  readonly registry: Registry;
  readonly refusals: Refusals;
  /** The run that may be what kills workers, by the process that polled it. */
  readonly suspects: Map<string, { readonly runId: string; readonly fence: number }>;
  readonly hub: Hub<NewEvent>;
  readonly links: {
    /** Where people and processes outside reach this server over HTTP, without a slash at the end. */
    readonly publicUrl: () => string;
    /** Those read so far, by organization. */
    readonly secrets: Map<string, string>;
  };
  readonly metrics: Metrics;
  readonly tracing: Tracing | undefined;
  readonly intake: Intake;
  readonly feeds: Feeds;
  /** Streams of runs that are open. */
  readonly watchers: { count: number };
  /** Calls back when runs may have become ready, for pollers; returns how to stop. */
  readonly onReady: (listener: () => void) => () => void;
}
