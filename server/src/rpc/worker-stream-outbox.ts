/**
 * The way out of a worker's stream. The first frame of all is Welcome. A frame that is still being made may
 * have its place: what its run's journal has later leaves after it.
 */
import type { ServerFrame } from "@pawl/proto";
import { FrameOutbox } from "./frame-outbox.ts";

/** Where a frame is to be sent, and what it reports. */
export interface Place {
  readonly runId: string;
  readonly seq: number;
  isOpen: boolean;
  frame: ServerFrame | undefined;
  bytes: number;
}

export class Outbox extends FrameOutbox<ServerFrame> {
  /** What is kept back of each run from its first open place on; mostly empty. */
  #line: Place[] = [];

  /**
   * @param bytes about how large it is when encoded
   * @param runId whose entry `seq` it tells the holder of; empty where it does not
   */
  override push(frame: ServerFrame, bytes: number, runId = "", seq = 0): void {
    if (this.#line.length === 0 || runId === "") {
      super.push(frame, bytes);
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

  /** Without a frame the place is filled with nothing. */
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
      if (frame !== undefined) super.push(frame, bytes);
      return false;
    });
  }

  #lineUp(place: Place): void {
    const later = this.#line.findIndex(
      ({ runId, seq }) => runId === place.runId && seq > place.seq,
    );
    this.#line.splice(later < 0 ? this.#line.length : later, 0, place);
  }

  override close(): void {
    this.#line = [];
    super.close();
  }
}
