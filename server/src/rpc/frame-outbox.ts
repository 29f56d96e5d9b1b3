/**
 * The way out of a stream of frames: those that come up in one turn of the event loop leave together
 * in one message, since a message costs far more than a frame.
 *
 * Invariants:
 * 1. Frames leave in the order in which they were pushed.
 * 2. At most `WRITES_MAX` messages are with the transport at a time; the rest waits here, so that
 *    messages grow under pressure instead of queueing one by one.
 * 3. What waits is bounded by `BOUNDS.connectionBufferedBytes`; beyond, `overflow` is called and
 *    nothing more is taken.
 */
import { BOUNDS } from "../model/bounds.ts";

const WRITES_MAX = 4;
/** One message ends at either of these. */
const MESSAGE_FRAMES = 2_048;
const MESSAGE_BYTES = 1024 * 1024;

export interface OutboxOptions<F> {
  /** Sends a message of these; calls back when it has left. Throws where it cannot be encoded. */
  readonly write: (frames: F[], done: () => void) => void;
  /** The other side does not read. */
  readonly overflow: () => void;
  /** A frame that no message can hold was taken out. */
  readonly dropped: (frame: F, error: unknown) => void;
}

export class FrameOutbox<F> {
  readonly #options: OutboxOptions<F>;
  #frames: F[] = [];
  #sizes: number[] = [];
  #bytes = 0;
  #writing = 0;
  #scheduled = false;
  #held = false;
  #closed = false;
  #idle: PromiseWithResolvers<void> | undefined;

  constructor(options: OutboxOptions<F>) {
    this.#options = options;
  }

  /** @param bytes about how large it is when encoded */
  push(frame: F, bytes: number): void {
    if (this.#closed) return;
    this.#frames.push(frame);
    this.#sizes.push(bytes);
    this.#bytes += bytes;
    if (this.#bytes > BOUNDS.connectionBufferedBytes) {
      this.close();
      this.#options.overflow();
      return;
    }
    this.#schedule();
  }

  /** Keeps everything back until `release`. */
  hold(): void {
    this.#held = true;
  }

  /** Continues, with this frame before all that wait. */
  release(first: F, bytes: number): void {
    if (this.#closed) return;
    this.#frames.unshift(first);
    this.#sizes.unshift(bytes);
    this.#bytes += bytes;
    this.#held = false;
    this.#schedule();
  }

  /** Resolves once everything pushed so far has left, or will never. */
  async drained(): Promise<void> {
    if (this.#frames.length === 0 && this.#writing === 0) return;
    this.#idle ??= Promise.withResolvers<void>();
    await this.#idle.promise;
  }

  /** Takes nothing more and forgets what waits. */
  close(): void {
    this.#closed = true;
    this.#frames = [];
    this.#sizes = [];
    this.#bytes = 0;
    this.#settle();
  }

  #schedule(): void {
    if (this.#scheduled || this.#held || this.#writing >= WRITES_MAX) return;
    this.#scheduled = true;
    setImmediate(() => {
      this.#scheduled = false;
      this.#flush();
    });
  }

  #flush(): void {
    while (this.#frames.length > 0 && this.#writing < WRITES_MAX && !this.#held) {
      let bytes = 0;
      let count = 0;
      while (count < this.#frames.length && count < MESSAGE_FRAMES) {
        bytes += this.#sizes[count] ?? 0;
        if (count > 0 && bytes > MESSAGE_BYTES) {
          bytes -= this.#sizes[count] ?? 0;
          break;
        }
        count += 1;
      }
      const whole = count === this.#frames.length;
      const frames = whole ? this.#frames : this.#frames.slice(0, count);
      this.#frames = whole ? [] : this.#frames.slice(count);
      this.#sizes = whole ? [] : this.#sizes.slice(count);
      this.#bytes -= bytes;
      this.#write(frames);
    }
  }

  #write(frames: F[]): void {
    this.#writing += 1;
    try {
      this.#options.write(frames, this.#written);
    } catch (error) {
      // Sizes are estimates: what is too large together may fit one by one.
      this.#writing -= 1;
      const [only] = frames;
      if (only !== undefined && frames.length === 1) this.#options.dropped(only, error);
      else for (const frame of frames) this.#write([frame]);
    }
  }

  readonly #written = (): void => {
    this.#writing -= 1;
    if (this.#frames.length > 0) this.#schedule();
    else if (this.#writing === 0) this.#settle();
  };

  #settle(): void {
    this.#idle?.resolve();
    this.#idle = undefined;
  }
}
