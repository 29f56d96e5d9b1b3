/** The calls that both workers and clients make, sent again while no server answers. */

import type { DescMessage, DescMethodUnary, MessageInitShape } from "@bufbuild/protobuf";
import { create, type MessageShape } from "@bufbuild/protobuf";
import { type JournalEntry, PayloadRefSchema, PayloadService, RunService } from "@pawl/proto";
import {
  type Encoded,
  encode,
  type PayloadInit,
  payloadOf,
  type ReceivedPayload,
} from "../codec/payload.ts";
import { RequestError, TerminalError } from "../errors.ts";
import { Backoff, delay } from "../lib/delay.ts";
import { limits } from "../limits.ts";
import { isTransient } from "./status.ts";
import type { CallOptions, Transport } from "./transport.ts";

export interface RetryWishes extends CallOptions {
  /** For how long, in ms. */
  readonly retryForMs?: number;
}

function* chunks(data: Uint8Array): Iterable<{ data: Uint8Array }> {
  for (let offset = 0; offset < data.length; offset += limits.chunkBytes) {
    yield { data: data.subarray(offset, offset + limits.chunkBytes) };
  }
}

export class Platform {
  readonly transport: Transport;
  readonly #retryForMs: number;
  #closed = false;
  #answeredMs = Number.NEGATIVE_INFINITY;

  /** `retryForMs`: how long a call is sent again while no server answers. */
  constructor(transport: Transport, retryForMs: number) {
    this.transport = transport;
    this.#retryForMs = retryForMs;
  }

  /**
   * Sends until answered, or until the time for that is up, which starts when the first try has
   * failed: a call may have waited for long before it lost its connection. The requests are idempotent.
   */
  async retrying<T>(
    send: () => Promise<T>,
    { abortSignal, retryForMs }: RetryWishes = {},
  ): Promise<T> {
    const backoff = new Backoff(50, 1_000);
    let endMs = Number.POSITIVE_INFINITY;
    for (;;) {
      try {
        return await send();
      } catch (error) {
        endMs = Math.min(endMs, performance.now() + (retryForMs ?? this.#retryForMs));
        const late = this.#closed || abortSignal?.aborted === true || performance.now() >= endMs;
        if (late || !isTransient(error)) throw error;
        const wantedMs = error instanceof RequestError ? (error.retryAfterMs ?? 0) : 0;
        await delay(Math.max(wantedMs, backoff.next()), abortSignal);
      }
    }
  }

  call<I extends DescMessage, O extends DescMessage>(
    method: DescMethodUnary<I, O>,
    request: MessageInitShape<I>,
    options: RetryWishes = {},
  ): Promise<MessageShape<O>> {
    return this.retrying(() => this.once(method, request, options), options);
  }

  /** A call that is not sent again. */
  async once<I extends DescMessage, O extends DescMessage>(
    method: DescMethodUnary<I, O>,
    request: MessageInitShape<I>,
    options: CallOptions,
  ): Promise<MessageShape<O>> {
    const response = await this.transport.unary(method, request, options);
    this.#answeredMs = performance.now();
    return response;
  }

  /** Whether the server has answered a call since that moment, by `performance.now()`. */
  hasAnsweredSince(ms: number): boolean {
    return this.#answeredMs > ms;
  }

  /** Nothing is sent again any more. */
  close(): void {
    this.#closed = true;
  }

  /** Encodes a value to be sent, uploading it first where it is too large to travel inline. */
  payload(value: unknown, what: string): Promise<PayloadInit> {
    return this.send(encode(value, what), what);
  }

  /** The same for a value that has been encoded. */
  async send(encoded: Encoded, what: string): Promise<PayloadInit> {
    const { length } = encoded.data;
    if (length <= limits.inlinePayloadBytesMax) return payloadOf(encoded);
    if (length > limits.payloadBytesMax) {
      throw new TerminalError(`${what} has ${length} bytes (limit ${limits.payloadBytesMax})`);
    }
    return { encoding: encoded.encoding, ref: await this.upload(encoded.data) };
  }

  /** Stores a payload that is too large to travel inline. */
  async upload(data: Uint8Array): Promise<{ sha256: string; size: number }> {
    const response = await this.retrying(() =>
      this.transport.clientStream(PayloadService.method.putPayload, chunks(data)),
    );
    const { sha256, size } = response.ref ?? create(PayloadRefSchema);
    return { sha256, size };
  }

  /** Fetches a payload that was too large to travel inline. */
  async download(payload: ReceivedPayload): Promise<ReceivedPayload> {
    const { ref } = payload;
    if (ref === undefined) return payload;
    const data = new Uint8Array(ref.size);
    for (let offset = 0; offset < ref.size; ) {
      const piece = await this.call(PayloadService.method.getPayload, {
        sha256: ref.sha256,
        offset,
        limit: limits.chunkBytes,
      });
      if (piece.data.length === 0) {
        throw new TerminalError(
          `the payload ${ref.sha256} ended after ${offset} of ${ref.size} bytes`,
        );
      }
      data.set(piece.data, offset);
      offset += piece.data.length;
    }
    return { data, encoding: payload.encoding };
  }

  /** The first entries of the journal after one, as many as a page has. */
  async journalPage(runId: string, afterSeq: number): Promise<readonly JournalEntry[]> {
    const request = { runId, afterSeq, pageSize: limits.journalPageEntries };
    return (await this.call(RunService.method.getJournal, request)).entries;
  }

  /** The journal after an entry, page by page. */
  async *journal(
    runId: string,
    afterSeq: number,
    options: CallOptions = {},
  ): AsyncIterable<JournalEntry[]> {
    let after = afterSeq;
    for (;;) {
      const page = await this.call(
        RunService.method.getJournal,
        { runId, afterSeq: after, pageSize: limits.journalPageEntries },
        options,
      );
      if (page.entries.length > 0) yield page.entries;
      after = page.entries.at(-1)?.seq ?? after;
      if (!page.more || page.entries.length === 0) return;
    }
  }
}
