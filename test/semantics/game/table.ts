/** Who plays the game of random commands, and what they were told: what the store is held against. */

import type { Random } from "../../chaos/random.ts";
import type { TestEngine } from "../engine-fixture.ts";
import { caller, TestWorker } from "../engine-fixture.ts";

/** A run id's present life, as the players know it. */
export interface Life {
  readonly uid: string;
  /** The highest fence that it was given out under. */
  readonly fence: number;
}

export class Table {
  readonly engines: readonly TestEngine[];
  readonly random: Random;
  readonly workers: readonly TestWorker[];
  /** Acknowledged results, by life and key. */
  readonly results = new Map<string, string>();
  /** Acknowledged signals, by life. */
  readonly signals = new Map<string, Set<string>>();
  readonly lives = new Map<string, Life>();
  /** How often each run was deleted, or may have been. */
  readonly deletions = new Map<string, number>();
  readonly #given = new Set<string>();
  readonly problems: string[] = [];
  #instances = 0;

  constructor(engines: readonly TestEngine[], random: Random) {
    this.engines = engines;
    this.random = random;
    this.workers = [this.#worker(), this.#worker(), this.#worker()];
  }

  get engine(): TestEngine["engine"] {
    return this.random.pick(this.engines).engine;
  }

  #worker(): TestWorker {
    this.#instances += 1;
    const worker = new TestWorker(`w${this.#instances}`);
    worker.onDispatch = ({ header }) => {
      this.given(header);
      const { connection } = worker;
      if (this.random.chance(0.1)) connection?.nack(header.runId, header.fence, "no room");
      else connection?.ack(header.runId, header.fence);
      connection?.credits(1);
    };
    return worker;
  }

  /** A run was given out. */
  given({ runId, runUid, fence }: { runId: string; runUid: string; fence: number }): void {
    const once = `${runUid} ${fence}`;
    if (this.#given.has(once))
      this.problems.push(`Fence ${fence} of ${runId} was given out twice.`);
    this.#given.add(once);
    // The news of what another server gave out may be late.
    const { uid, fence: highest } = this.lives.get(runId) ?? { uid: "", fence: 0 };
    if (runUid > uid || (runUid === uid && fence > highest))
      this.lives.set(runId, { uid: runUid, fence });
  }

  async connectAll(): Promise<void> {
    for (const worker of this.workers) await worker.connect(this.engine);
  }

  /** A worker's stream ends, and comes back at one of the servers, with or without what it held. */
  async reconnect(): Promise<void> {
    const worker = this.random.pick(this.workers);
    const held = this.random.chance(0.5)
      ? worker.dispatched
          .slice(-5)
          .map(({ header }) => ({ runId: header.runId, fence: header.fence }))
      : [];
    worker.connection?.closed();
    await worker.connect(this.engine, 100, held);
  }

  async poll(): Promise<void> {
    const { info } = this.random.pick(this.workers);
    const signal = AbortSignal.timeout(1_000);
    for (const { header } of await this.engine.polling.poll(
      caller,
      { worker: info, max: 2, waitMs: 0 },
      signal,
    ))
      this.given(header);
  }
}
