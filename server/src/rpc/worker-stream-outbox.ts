/**
 * The way out of a connection: frames that come up in one turn of the event loop leave together in
 * one message, since a message costs far more than a frame.
 *
 * Invariants:
 * 1. Frames leave in the order in which they were pushed; the first of all is Welcome. One that is
 *    still being made may have its place: what its run's journal has later leaves after it.
 * 2. At most `WRITES_MAX` messages are with the transport at a time; the rest waits here, so that
 *    messages grow under pressure instead of queueing one by one.
 * 3. What waits is bounded by `BOUNDS.connectionBufferedBytes`; beyond, `overflow` is called and
 *    nothing more is taken.
 */
import type { ServerFrame, WorkerServiceAttachResponse } from "@pawl/proto";
import { BOUNDS } from "../model/bounds.ts";

const WRITES_MAX = 4;
/** One message ends at either of these. */
const MESSAGE_FRAMES = 2_048;
const MESSAGE_BYTES = 1024 * 1024;

export interface OutboxOptions {
  /** Sends a message; calls back when it has left. Throws where it cannot be encoded. */
  readonly write: (message: WorkerServiceAttachResponse, done: () => void) => void;
  /** The other side does not read. */
  readonly overflow: () => void;
  /** A frame that no message can hold was taken out. */
  readonly dropped: (frame: ServerFrame, error: unknown) => void;
}

/** Where a frame is to be sent, and what it reports. */
export interface Place {
  readonly runId: string;
  readonly seq: number;
  isOpen: boolean;
  frame: ServerFrame | undefined;
  bytes: number;
}

export class Outbox {
  readonly #options: OutboxOptions;
  #frames: ServerFrame[] = [];
  #sizes: number[] = [];
  #bytes = 0;
  /** Of each run, what is kept back from its first open place on; mostly empty. */
  #line: Place[] = [];
  #writing = 0;
  #scheduled = false;
  #held = false;
  #closed = false;
  #idle: PromiseWithResolvers<void> | undefined;

  constructor(options: OutboxOptions) {
    this.#options = options;
  }

  /**
   * @param bytes about how large it is when encoded
   * @param runId whose entry `seq` it tells the holder of; empty where it does not
   */
  push(frame: ServerFrame, bytes: number, runId = "", seq = 0): void {
    if (this.#line.length === 0 || runId === "") {
      this.#take(frame, bytes);
      return;
    }
    const same = this.#line.find((one) => one.runId === runId && one.seq === seq && one.isOpen);
    if (same === undefined) this.#lineUp({ runId, seq, isOpen: false, frame, bytes });
    else Object.assign(same, { isOpen: false, frame, bytes });
    this.#advance();
  }

  /** Reserves the place of a frame that reports this entry, until it is filled. */
  reserve(runId: string, seq: number): Place {
    const place = { runId, seq, isOpen: true, frame: undefined, bytes: 0 };
    this.#lineUp(place);
    return place;
  }

  /** With nothing where there is no such frame. */
  fill(place: Place, frame?: ServerFrame, bytes = 0): void {
    if (place.isOpen) {
      Object.assign(place, { isOpen: false, frame, bytes });
      this.#advance();
    } else if (frame !== undefined) {
      // The same was told by another frame, which has its place.
      this.push(frame, bytes);
    }
  }

  #advance(): void {
    const blocked = new Set<string>();
    this.#line = this.#line.filter(({ runId, isOpen, frame, bytes }) => {
      if (isOpen) blocked.add(runId);
      if (blocked.has(runId)) return true;
      if (frame !== undefined) this.#take(frame, bytes);
      return false;
    });
  }

  #lineUp(place: Place): void {
    const later = this.#line.findIndex(
      ({ runId, seq }) => runId === place.runId && seq > place.seq,
    );
    this.#line.splice(later < 0 ? this.#line.length : later, 0, place);
  }

  #take(frame: ServerFrame, bytes: number): void {
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
  release(first: ServerFrame, bytes: number): void {
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
    this.#line = [];
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

  #write(frames: ServerFrame[]): void {
    this.#writing += 1;
    try {
      this.#options.write(
        { $typeName: "pawl.v1.WorkerServiceAttachResponse", frames },
        this.#written,
      );
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
