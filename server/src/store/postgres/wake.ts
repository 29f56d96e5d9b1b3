import { monotonicMs } from "../../lib/clock.ts";
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
/** On this one replicas hear of each other. */
const PEERS = "pawl_replicas";
const HELLO = "hello";
const HERE = "here";

/** How often a replica says that it is here, and how long it counts as being there, in ms. */
const HERE_MS = 15_000;
const GONE_MS = 60_000;

export const LISTEN = [...Object.values(CHANNELS), PEERS].map((name) => `LISTEN ${name}`).join(";");

/**
 * What replicas tell each other. A notification costs the database a transaction and a flush, so a
 * replica that has heard of no other one for a minute tells nobody. One that comes up says hello,
 * and hears from those that are there.
 */
export class Notices {
  readonly #send: (text: string) => Promise<unknown>;
  readonly #wakes: Readonly<Record<Written, Wakes>>;
  readonly #here: NodeJS.Timeout;
  #heardAt = Number.NEGATIVE_INFINITY;

  constructor(send: (text: string) => Promise<unknown>) {
    this.#send = send;
    const wakes = (what: Written): Wakes =>
      new Wakes(async () => void (await send(`NOTIFY ${CHANNELS[what]}`)));
    this.#wakes = { runs: wakes("runs"), deltas: wakes("deltas") };
    this.#here = setInterval(() => this.#say(HERE), HERE_MS).unref();
  }

  /** When it can hear and be heard. */
  hello(): void {
    this.#say(HELLO);
  }

  /** What another replica has written, if that is what it said. */
  heard(channel: string, payload: string | undefined): Written | undefined {
    this.#heardAt = monotonicMs();
    if (channel === PEERS) {
      if (payload === HELLO) this.#say(HERE);
      return undefined;
    }
    return channel === CHANNELS.deltas ? "deltas" : "runs";
  }

  wake(what: Written): void {
    if (monotonicMs() - this.#heardAt < GONE_MS) this.#wakes[what].wake();
  }

  #say(word: string): void {
    // Said again later; until then the others look at the store by themselves.
    this.#send(`NOTIFY ${PEERS}, '${word}'`).catch(() => undefined);
  }

  close(): void {
    clearInterval(this.#here);
    this.#wakes.runs.close();
    this.#wakes.deltas.close();
  }
}
