import type { ReceivedPayload } from "../codec/payload.ts";
import { type Encoded, type PayloadInit, payloadOf } from "../codec/payload.ts";
import { TerminalError } from "../errors.ts";
import { limits } from "../limits.ts";
import type { RunLink } from "./link.ts";
import type { MemoRecord } from "./memo.ts";
import type { Run } from "./run.ts";

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
      `${what} has ${length} bytes (limit ${limits.payloadBytesMax}); store it elsewhere and return a reference`,
    );
  }
  return { encoding: encoded.encoding, ref: await link.upload(encoded.data) };
}

/** The payload of a record, wherever it is: in memory, in the journal, or in a table of its own. */
export function wholePayload(run: Run, record: MemoRecord): Promise<ReceivedPayload | undefined> {
  return run.persist(async () => {
    const payload = record.late ? await run.memo.readLate(record) : record.payload;
    return payload?.ref === undefined ? payload : await run.link.download(payload);
  });
}
