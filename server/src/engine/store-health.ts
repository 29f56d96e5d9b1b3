import { monotonicMs } from "../lib/clock.ts";
import type { Counter } from "../lib/metrics.ts";
import { PawlError } from "../model/errors.ts";
import type { Store } from "../store/store.ts";
import { StoreError } from "../store/store-error.ts";
import type { EngineLog } from "./engine-log.ts";

const PROBE_MS = 1_000;
/** A store is well again when a write works, and none has failed for so long: with a full disk some do. */
const QUIET_MS = 2_000;
/** While the store is away, the log says so once in this time. */
const REMINDER_MS = 60_000;

/**
 * Whether the store takes writes: told by those that fail, and by a probe that reads while all is well
 * and writes after a failure.
 *
 * States: *well* ⇄ *away* (writes fail); *damaged*, which only a restart after a repair ends.
 */
export class StoreHealth {
  readonly #store: Store;
  readonly #log: EngineLog;
  readonly #errors: Counter;
  readonly #timer: NodeJS.Timeout;
  #away: { readonly since: number; failedAt: number } | undefined;
  #noted: StoreError | undefined;
  #isDamaged = false;
  #saidAt = Number.NEGATIVE_INFINITY;

  constructor(store: Store, log: EngineLog, errors: Counter) {
    this.#store = store;
    this.#log = log;
    this.#errors = errors;
    this.#timer = setInterval(() => this.#probe(), PROBE_MS);
    this.#timer.unref();
  }

  get ok(): boolean {
    return this.#away === undefined && !this.#isDamaged;
  }

  /** A write or a probe has failed. */
  failed(message: string, error: unknown): void {
    this.#errors.inc();
    if (this.#isDamagedBy(error)) return;
    const now = monotonicMs();
    if (this.#away === undefined) {
      this.#away = { since: now, failedAt: now };
      this.#saidAt = now;
      this.#log.error("store.failed", { message, error });
      return;
    }
    this.#away.failedAt = now;
    if (now - this.#saidAt < REMINDER_MS) return;
    this.#saidAt = now;
    const after_ms = Math.round(now - this.#away.since);
    this.#log.error("store.still_failing", { message, after_ms, error });
  }

  /** A call that is not tried again has failed; writes may work all the same. */
  noted(error: StoreError): void {
    this.#errors.inc();
    // Told once the probe has answered, for else it is one of the many that fail with a store that is away.
    if (isAboutStore(error) && !this.#isDamagedBy(error)) this.#noted = error;
  }

  stop(): void {
    clearInterval(this.#timer);
  }

  #isDamagedBy(error: unknown): boolean {
    if (!(error instanceof StoreError) || error.fault !== "damaged") return false;
    if (!this.#isDamaged) {
      const message = "Stop the server and restore the database from a backup.";
      this.#log.error("store.damaged", { message, error });
    }
    this.#isDamaged = true;
    return true;
  }

  #probe(): void {
    this.#store.ping(this.#away !== undefined).then(
      () => this.#answered(),
      (error: unknown) => this.failed("the store does not answer", error),
    );
  }

  #answered(): void {
    const away = this.#away;
    const now = monotonicMs();
    const error = this.#noted;
    this.#noted = undefined;
    if (away === undefined && error !== undefined && now - this.#saidAt >= REMINDER_MS) {
      this.#saidAt = now;
      this.#log.warn("store.call_failed", { error });
    }
    if (away === undefined || now - away.failedAt < QUIET_MS) return;
    this.#away = undefined;
    this.#log.info("store.reached", { after_ms: Math.round(now - away.since) });
  }
}

/** The same log, but for what `StoreHealth` says already: a store that is away makes everything fail. */
export function quietAboutStore(log: EngineLog): EngineLog {
  return {
    debugging: log.debugging ?? false,
    debug: (message, fields) => log.debug?.(message, fields),
    info: (message, fields) => log.info(message, fields),
    warn: (message, fields) =>
      isAboutStore(fields?.error) ? log.debug?.(message, fields) : log.warn(message, fields),
    error: (message, fields) =>
      isAboutStore(fields?.error) ? log.debug?.(message, fields) : log.error(message, fields),
  };
}

/** Whether the store as a whole has failed, rather than one value in it or one command. */
function isAboutStore(error: unknown): boolean {
  const cause = error instanceof PawlError ? error.cause : error;
  return cause instanceof StoreError && cause.fault !== "data" && cause.corrupted === undefined;
}
