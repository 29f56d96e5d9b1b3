import type { Clock } from "../../lib/clock.ts";
import { sha256 } from "../../lib/ids.ts";
import { BOUNDS } from "../../model/bounds.ts";
import type { Caller } from "../../model/caller.ts";
import { invalid, notFound, PawlError } from "../../model/errors.ts";
import type { Payload, PayloadRef } from "../../model/payload.ts";
import type { Store } from "../../store/store.ts";

export interface PayloadsParts {
  readonly store: Store;
  readonly clock: Clock;
}

/** Part of a payload. */
export interface GetPayload {
  readonly sha256: string;
  readonly offset: number;
  readonly limit: number;
}

/** Use cases on payloads that are too large for a message. */
export class Payloads {
  readonly #parts: PayloadsParts;

  constructor(parts: PayloadsParts) {
    this.#parts = parts;
  }

  async put(caller: Caller, data: Uint8Array): Promise<PayloadRef> {
    const size = data.byteLength;
    if (size > BOUNDS.payloadBytes) {
      throw new PawlError(
        "PAYLOAD_TOO_LARGE",
        `The payload has ${size} bytes; at most ${BOUNDS.payloadBytes} are kept.`,
        { metadata: { size: String(size), limit: String(BOUNDS.payloadBytes) } },
      );
    }
    const address = sha256(data);
    await this.#parts.store.putPayload(caller, { sha256: address, data }, this.#parts.clock.now());
    return { sha256: address, size };
  }

  async get(
    caller: Caller,
    { sha256, offset, limit }: GetPayload,
  ): Promise<{ data: Uint8Array; size: number }> {
    const found = await this.#parts.store.getPayload(caller, sha256, offset, limit);
    if (found === undefined) throw notFound("payload", sha256);
    return found;
  }
}

/** Refuses a payload by reference that was not uploaded. */
export async function checkPayload(
  store: Store,
  caller: Caller,
  payload: Payload | undefined,
): Promise<void> {
  if (payload?.ref === undefined) return;
  const { sha256, size } = payload.ref;
  const found = await store.getPayload(caller, sha256, 0, 0);
  if (found === undefined) throw notFound("payload", sha256);
  if (found.size !== size)
    throw invalid("ref.size", `is ${size}, but the payload has ${found.size} bytes`);
}
