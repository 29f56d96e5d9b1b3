/** Live output of a run, and the form in which chunks of it are kept. */
import type { Payload } from "./payload.ts";

/** How long a delta is kept: for those who watch, until it is superseded, or as long as the journal. */
export const DELTA_POLICIES = ["ephemeral", "buffered", "durable"] as const;
export type DeltaPolicy = (typeof DELTA_POLICIES)[number];

export interface DeltaEvent {
  readonly type: string;
  /** Empty: of the run itself. */
  readonly key: string;
  readonly attempt: number;
  readonly contentIndex: number;
  readonly sequence: number;
  /** In ms since the epoch, by the source's clock; 0: unknown. */
  readonly sourceAt: number;
  /** Empty: the step. */
  readonly parentEventId: string;
  /** Empty: the server's. */
  readonly eventId: string;
  readonly policy: DeltaPolicy;
  readonly payload?: Payload | undefined;
}

/** What deltas of one stream share: type, key, attempt, content index, parent, policy, encoding. */
type Shared = [string, string, number, number, string, DeltaPolicy, string | null];
/** The numbers of one delta: its stream, sequence, source time, and length of data (-1: by reference). */
const ROW = 4;

interface Head {
  readonly shared: Shared[];
  readonly rows: number[];
  /** Ids that senders chose, and references, by the delta's place. */
  readonly ids?: Record<string, string>;
  readonly refs?: Record<string, { sha256: string; size: number }>;
}

/** One piece of bytes: the length of a JSON head, the head, then the payloads' data. */
export function packDeltas(events: readonly DeltaEvent[]): Uint8Array {
  const shared: Shared[] = [];
  const places = new Map<string, number>();
  const rows: number[] = [];
  const ids: Record<string, string> = {};
  const refs: Record<string, { sha256: string; size: number }> = {};
  const pieces: Uint8Array[] = [];
  for (const [index, event] of events.entries()) {
    const { payload } = event;
    rows.push(placeOf(event, shared, places), event.sequence, event.sourceAt);
    rows.push(payload?.ref === undefined ? (payload?.data?.byteLength ?? 0) : -1);
    if (payload?.data !== undefined) pieces.push(payload.data);
    if (payload?.ref !== undefined) refs[index] = payload.ref;
    if (event.eventId !== "") ids[index] = event.eventId;
  }
  const head: Head = {
    shared,
    rows,
    ...(Object.keys(ids).length === 0 ? {} : { ids }),
    ...(Object.keys(refs).length === 0 ? {} : { refs }),
  };
  const text = Buffer.from(JSON.stringify(head));
  const length = Buffer.allocUnsafe(4);
  length.writeUInt32LE(text.byteLength, 0);
  return Buffer.concat([length, text, ...pieces]);
}

function placeOf(event: DeltaEvent, shared: Shared[], places: Map<string, number>): number {
  const { type, key, attempt, contentIndex, parentEventId, policy } = event;
  const encoding = event.payload?.encoding ?? null;
  const name = `${type}\n${key}\n${attempt}\n${contentIndex}\n${parentEventId}\n${policy}\n${encoding ?? ""}`;
  let place = places.get(name);
  if (place === undefined) {
    place = shared.length;
    shared.push([type, key, attempt, contentIndex, parentEventId, policy, encoding]);
    places.set(name, place);
  }
  return place;
}

/** The deltas of a chunk. Throws where it is not what `packDeltas` made. */
export function unpackDeltas(bytes: Uint8Array): DeltaEvent[] {
  const buffer = Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  let offset = 4 + buffer.readUInt32LE(0);
  const head = JSON.parse(buffer.toString("utf8", 4, offset)) as Head;
  const events: DeltaEvent[] = [];
  for (let at = 0; at + ROW <= head.rows.length; at += ROW) {
    const [place = 0, sequence = 0, sourceAt = 0, size = 0] = head.rows.slice(at, at + ROW);
    const stream = head.shared[place];
    if (stream === undefined) throw new TypeError("A chunk of deltas is damaged.");
    const [type, key, attempt, contentIndex, parentEventId, policy, encoding] = stream;
    const index = at / ROW;
    const ref = size < 0 ? head.refs?.[index] : undefined;
    const data = buffer.subarray(offset, offset + Math.max(0, size));
    offset += data.byteLength;
    const payload =
      encoding === null ? undefined : ref === undefined ? { encoding, data } : { encoding, ref };
    const eventId = head.ids?.[index] ?? "";
    const event = { type, key, attempt, contentIndex, sequence, sourceAt, parentEventId, eventId };
    events.push({ ...event, policy, payload });
  }
  return events;
}

/**
 * A step attempt that has sent deltas. Of what the run itself sent (its key is empty), instead of the
 * attempt, the highest sequence.
 */
export type StepAttempt = readonly [key: string, attempt: number];

export function packSteps(events: readonly DeltaEvent[]): string {
  const steps = new Map<string, StepAttempt>();
  let said = -1;
  for (const { key, attempt, sequence } of events) {
    if (key === "") said = Math.max(said, sequence);
    else steps.set(attemptKey(key, attempt), [key, attempt]);
  }
  if (said >= 0) steps.set("", ["", said]);
  return JSON.stringify([...steps.values()]);
}

export function unpackSteps(text: string): StepAttempt[] {
  return JSON.parse(text) as StepAttempt[];
}

/** One string for a step attempt, for maps. */
export function attemptKey(key: string, attempt: number): string {
  return `${attempt}\n${key}`;
}
