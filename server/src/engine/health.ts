import type { Counter } from "../lib/metrics.ts";
import type { Store } from "../store/store.ts";
import type { EngineLog } from "./core.ts";

const PROBE_MS = 2_000;

/** Whether the store answers: told by failed commits at once, and by a probe in any case. */
export class StoreHealth {
  readonly #store: Store;
  readonly #log: EngineLog;
  readonly #errors: Counter;
  readonly #timer: NodeJS.Timeout;
  #ok = true;

  constructor(store: Store, log: EngineLog, errors: Counter) {
    this.#store = store;
    this.#log = log;
    this.#errors = errors;
    this.#timer = setInterval(() => this.#probe(), PROBE_MS);
    this.#timer.unref();
  }

  get ok(): boolean {
    return this.#ok;
  }

  failed(message: string, error: unknown): void {
    this.#errors.inc();
    if (this.#ok) this.#log.error("store.failed", { message, error });
    this.#ok = false;
  }

  stop(): void {
    clearInterval(this.#timer);
  }

  #probe(): void {
    this.#store.ping().then(
      () => {
        if (!this.#ok) this.#log.info("store.reached");
        this.#ok = true;
      },
      (error: unknown) => this.failed("the store does not answer", error),
    );
  }
}
