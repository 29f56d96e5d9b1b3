import type { Tenant } from "../model/caller.ts";
import type { PayloadBlob, PayloadRef } from "../model/payload.ts";

/** Payloads that are too large for a journal, by their content. */
export interface PayloadStore {
  putPayload(caller: Tenant, blob: PayloadBlob, now: number): Promise<void>;
  /** `undefined` when there is none. */
  getPayload(
    caller: Tenant,
    sha256: string,
    offset: number,
    limit: number,
  ): Promise<{ data: Uint8Array; size: number } | undefined>;
  /** Deletes payloads that no run refers to and that are older than `before`; returns how many. */
  sweepPayloads(before: number, limit: number): Promise<number>;
}

export interface PayloadWrite {
  /** Payloads that the entries refer to, to be stored if they are new. */
  readonly put: readonly PayloadBlob[];
  /** References held by the entries, also to payloads uploaded before. */
  readonly refs: readonly PayloadRef[];
}
