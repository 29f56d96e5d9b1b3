import type { IncomingMessage } from "node:http";
import { PawlError } from "../model/errors.ts";
import { HttpError } from "./problem.ts";

/** Refuses a body that is compressed: read as it is, it would be taken for something else. */
export function refuseEncoded({ headers }: IncomingMessage): void {
  const encoding = headers["content-encoding"]?.trim().toLowerCase() ?? "identity";
  if (encoding === "identity" || encoding === "") return;
  throw new HttpError(
    415,
    "INVALID_ARGUMENT",
    `The body's content encoding is ${encoding.slice(0, 100)}; send it uncompressed.`,
    { metadata: { field: "content-encoding" } },
  );
}

/** The whole body. Rejects with PAYLOAD_TOO_LARGE as soon as it is plain that it has more than `max` bytes. */
export async function readBody(request: IncomingMessage, max: number): Promise<Buffer> {
  refuseEncoded(request);
  const pieces: Buffer[] = [];
  let size = 0;
  for await (const piece of request.iterator({ destroyOnReturn: false })) {
    const bytes: Buffer = piece;
    size += bytes.byteLength;
    if (size > max) throw tooLarge(max);
    pieces.push(bytes);
  }
  return Buffer.concat(pieces);
}

function tooLarge(max: number): PawlError {
  return new PawlError(
    "PAYLOAD_TOO_LARGE",
    `The body is larger than ${max} bytes. Keep large data elsewhere and send where it is.`,
    { metadata: { limit: String(max) } },
  );
}
