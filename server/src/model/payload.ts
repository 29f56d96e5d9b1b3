/** A payload in the content-addressed table. */
export interface PayloadRef {
  /** Lower-case hex SHA-256 of the data. */
  readonly sha256: string;
  /** The size in bytes. */
  readonly size: number;
}

/**
 * A value as user code encoded it: either its bytes or a reference to them.
 * `encoding` is `json`, `json+pawl`, `bytes` or `void`; the server reads only `json`.
 */
export type Payload =
  | { readonly encoding: string; readonly data: Uint8Array; readonly ref?: undefined }
  | { readonly encoding: string; readonly data?: undefined; readonly ref: PayloadRef };

/** Bytes of a payload that moves to the content-addressed table. */
export interface PayloadBlob {
  readonly sha256: string;
  readonly data: Uint8Array;
}

export function payloadSize(payload: Payload): number {
  return payload.ref === undefined ? payload.data.byteLength : payload.ref.size;
}
