import type { Written } from "../deltas.ts";

/** Notifications are collected for this long, in ms. */
const WINDOW_MS = 10;

/** Sends at once, and then at most once per window however often it is asked to. */
export class Wakes {
  readonly #send: () => Promise<void>;
  #timer: NodeJS.Timeout | undefined;
  #isDirty = false;

  constructor(send: () => Promise<void>) {
    this.#send = send;
  }

  wake(): void {
    if (this.#timer !== undefined) {
      this.#isDirty = true;
      return;
    }
    this.#isDirty = false;
    this.#timer = setTimeout(() => {
      this.#timer = undefined;
      if (this.#isDirty) this.wake();
    }, WINDOW_MS);
    this.#timer.unref();
    // A lost wake-up costs the other replicas latency only; they look at the store anyway.
    this.#send().catch(() => undefined);
  }

  close(): void {
    clearTimeout(this.#timer);
    this.#timer = undefined;
  }
}

/** Who listens hears what was written by the channel's name. */
const CHANNELS = { runs: "pawl_wake", deltas: "pawl_deltas" } as const;

export const LISTEN = `LISTEN ${CHANNELS.runs}; LISTEN ${CHANNELS.deltas}`;

export function writtenOf(channel: string): Written {
  return channel === CHANNELS.deltas ? "deltas" : "runs";
}

/** The wakes of each kind. */
export class Notices {
  readonly #wakes: Readonly<Record<Written, Wakes>>;

  constructor(send: (text: string) => Promise<unknown>) {
    const wakes = (what: Written): Wakes =>
      new Wakes(async () => void (await send(`NOTIFY ${CHANNELS[what]}`)));
    this.#wakes = { runs: wakes("runs"), deltas: wakes("deltas") };
  }

  wake(what: Written): void {
    this.#wakes[what].wake();
  }

  close(): void {
    this.#wakes.runs.close();
    this.#wakes.deltas.close();
  }
}
