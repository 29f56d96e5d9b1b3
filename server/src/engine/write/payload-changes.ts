import { sha256 } from "../../lib/ids.ts";
import type { Payload, PayloadBlob, PayloadRef } from "../../model/payload.ts";
import type { ChangeSet, ChangesSoFar } from "./change-set.ts";

/** Payloads that are too large for the rows of the journal. */
export class PayloadChanges implements ChangeSet {
  readonly #put: PayloadBlob[] = [];
  readonly #refs: PayloadRef[] = [];

  /** @returns the payload as its entry refers to it */
  keep({ encoding, data, ref }: Payload): Payload {
    if (ref !== undefined) {
      this.#refs.push(ref);
      return { encoding, ref };
    }
    const { byteLength: size } = data;
    const made = { sha256: sha256(data), size };
    this.#put.push({ sha256: made.sha256, data });
    this.#refs.push(made);
    return { encoding, ref: made };
  }

  writeTo(changes: ChangesSoFar): void {
    changes.payloads = { put: this.#put, refs: this.#refs };
  }
}
