/**
 * For how long the leases of a session are known to hold. An answered heartbeat vouches for the
 * lease time from the moment it was sent, unless this process has stood still since: the server may
 * have been restarted, or have given the leases away with the stream, and answers to heartbeats from
 * before are still waiting to be read.
 */
export class LeaseClock {
  #leaseMs = 15_000;
  #heldFromMs = Number.NEGATIVE_INFINITY;
  /** When the heartbeats were sent that have not been answered, oldest first. */
  #sentMs: number[] = [];

  set leaseMs(ms: number) {
    this.#leaseMs = ms;
  }

  /** A new stream: Hello is its first heartbeat, Welcome the answer. */
  restart(): void {
    this.#sentMs = [];
    this.sent();
  }

  sent(): void {
    this.#sentMs.push(performance.now());
  }

  /** The oldest heartbeat was answered. */
  answered(): void {
    this.#heldFromMs = this.#sentMs.shift() ?? this.#heldFromMs;
  }

  /** The oldest heartbeat was refused. */
  refused(): void {
    this.#sentMs.shift();
  }

  /** This process stood still: nothing holds until a heartbeat is answered that is sent from now on. */
  stoodStill(): void {
    this.#heldFromMs = Number.NEGATIVE_INFINITY;
    this.#sentMs = this.#sentMs.map(() => Number.NEGATIVE_INFINITY);
  }

  get holds(): boolean {
    return performance.now() - this.#heldFromMs < this.#leaseMs;
  }
}
