import { type Encoded, type PayloadInit, payloadOf } from "../codec/payload.ts";
import { TerminalError } from "../errors.ts";
import { limits } from "../limits.ts";
import type { RunLink } from "./link.ts";

/** Whether a value has to be uploaded before it can be reported. */
export function isLarge(encoded: Encoded): boolean {
  return encoded.data.length > limits.inlinePayloadBytesMax;
}

/** Uploads a large value; returns what to send in its place. */
export async function upload(link: RunLink, encoded: Encoded, what: string): Promise<PayloadInit> {
  if (!isLarge(encoded)) return payloadOf(encoded);
  const { length } = encoded.data;
  if (length > limits.payloadBytesMax) {
    throw new TerminalError(
      `${what} has ${length} bytes, ${limits.payloadBytesMax} are possible; store it elsewhere and return where it is`,
    );
  }
  return { encoding: encoded.encoding, ref: await link.upload(encoded.data) };
}
