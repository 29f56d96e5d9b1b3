/** Live output on its way out: gathered for a moment, bounded, dropped when it does not fit. */
import { limits } from "../limits.ts";
import type { NewEventInit } from "../run/link.ts";

export interface DeltaBatch {
  readonly runId: string;
  readonly fence: number;
  readonly events: NewEventInit[];
}

export class Deltas {
  readonly #send: (batch: DeltaBatch, bytes: number) => boolean;
  readonly #onDrop: (count: number) => void;
  #batches = new Map<string, DeltaBatch & { bytes: number }>();
  #bytes = 0;
  #dropped = 0;
  #timer: NodeJS.Timeout | undefined;

  /** `send` answers false while nothing can be sent. `onDrop`: so many events were lost. */
  constructor(
    send: (batch: DeltaBatch, bytes: number) => boolean,
    onDrop: (count: number) => void,
  ) {
    this.#send = send;
    this.#onDrop = onDrop;
  }

  add(runId: string, fence: number, event: NewEventInit, bytes: number): void {
    if (this.#bytes + bytes > limits.deltaBufferBytesMax) {
      this.#dropped += 1;
      return;
    }
    let batch = this.#batches.get(runId);
    if (batch !== undefined && batch.fence !== fence) {
      this.#bytes -= batch.bytes;
      batch = undefined;
    }
    if (batch === undefined) {
      batch = { runId, fence, events: [], bytes: 0 };
      this.#batches.set(runId, batch);
    }
    batch.events.push(event);
    batch.bytes += bytes;
    this.#bytes += bytes;
    if (this.#bytes >= limits.deltaFlushBytes) this.flush();
    this.#timer ??= setTimeout(() => {
      this.#timer = undefined;
      this.flush();
    }, limits.deltaFlushMs);
  }

  /** Sends what has gathered; a run's last words have to leave before its outcome. */
  flush(runId?: string): void {
    for (const [id, batch] of this.#batches) {
      if (runId !== undefined && id !== runId) continue;
      if (!this.#send(batch, batch.bytes)) return;
      this.#batches.delete(id);
      this.#bytes -= batch.bytes;
    }
    if (this.#dropped > 0) {
      this.#onDrop(this.#dropped);
      this.#dropped = 0;
    }
  }

  close(): void {
    clearTimeout(this.#timer);
    this.#timer = undefined;
    this.#batches.clear();
    this.#bytes = 0;
  }
}
