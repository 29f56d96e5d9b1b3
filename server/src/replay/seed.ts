/** Puts a recorded run into an empty store, ready to be executed as far as its record goes. */
import type { Timestamp } from "@bufbuild/protobuf/wkt";
import type { JournalEntry, Payload as PayloadProto } from "@pawl/proto";
import { DEFAULT_ORG } from "../auth/authenticate.ts";
import { systemClock } from "../lib/clock.ts";
import { sha256 } from "../lib/ids.ts";
import { BOUNDS } from "../model/bounds.ts";
import {
  type ClosedWhy,
  ENTRY_TYPES,
  type Entry,
  type EntryMeta,
  type EntryType,
} from "../model/entry.ts";
import type { Payload, PayloadBlob } from "../model/payload.ts";
import type { AnswerVia } from "../model/question.ts";
import { NEW_RUN, type RunHeader } from "../model/run.ts";
import { failureIn, outcomeIn, stepKindIn } from "../rpc/convert/common-messages.ts";
import { questionIn } from "../rpc/convert/question-messages.ts";
import type { Store } from "../store/store.ts";
import { JournalFileError, type RecordedRun } from "./journal-file.ts";

/** The entries with which a run may end. They are what a replay has to come to again. */
const ENDS: readonly string[] = ["run.completed", "run.failed", "run.cancelled", "run.cancelling"];

export interface Seeded {
  readonly runId: string;
  readonly workflow: string;
  readonly queue: string;
  /** Entries that are replayed. */
  readonly length: number;
  /** How the record ends, if it does. */
  readonly end: JournalEntry | undefined;
}

/** @throws JournalFileError for entries that this version does not know */
export async function seed(store: Store, { run, entries }: RecordedRun): Promise<Seeded> {
  const { kept, end } = cut(entries);
  const blobs: PayloadBlob[] = [];
  const journal = kept.map((entry) => entryIn(entry, blobs));
  const now = systemClock.now();
  const last = Math.max(run.fence, ...kept.map(({ fence }) => fence));
  const header: RunHeader = {
    // Its parent is not here, and must not be looked for.
    ...NEW_RUN,
    org: DEFAULT_ORG,
    runId: run.runId || "replayed",
    runUid: run.runUid,
    workflow: run.workflow,
    version: run.version,
    queue: run.queue || "default",
    fence: last + 1,
    seq: journal.length,
    attempt: run.attempt,
    createdAt: timeIn(run.createdAt) ?? now,
    startAt: now,
    startedAt: now,
    updatedAt: now,
    options: { sessionId: run.sessionId, userId: run.userId },
    tags: { ...run.tags },
  };
  const { org, runId, workflow, version, queue } = header;
  const payloadRefs = blobs.map(({ sha256: address, data }) => ({
    sha256: address,
    size: data.byteLength,
  }));
  const nothing = { duePut: [], dueRemove: [], dueClear: false, dueElsewhere: [] } as const;
  const lane = version === "" ? workflow : `${workflow}@${version}`;
  const ready = { queue, lane, rank: 4, readyAt: now };
  const write = {
    ...{ org, runId, expect: null, seq: journal.length, updatedAt: now, insert: header },
    ...{ entries: journal, payloads: blobs, payloadRefs, ready },
    ...nothing,
  };
  await store.commit({ now, writes: [write], claims: [] });
  return { runId, workflow, queue, length: journal.length, end };
}

/** The record without the end that it may have: that is what the code has to come to again. */
function cut(entries: readonly JournalEntry[]): {
  kept: readonly JournalEntry[];
  end: JournalEntry | undefined;
} {
  let length = entries.length;
  let end: JournalEntry | undefined;
  while (length > 0 && ENDS.includes(entries[length - 1]?.type ?? "")) {
    length -= 1;
    end ??= entries[length];
  }
  return { kept: entries.slice(0, length), end };
}

function entryIn(entry: JournalEntry, blobs: PayloadBlob[]): Entry {
  return {
    seq: entry.seq,
    at: timeIn(entry.recordedAt) ?? 0,
    type: typeIn(entry),
    key: entry.stepKey,
    attempt: entry.attempt,
    meta: metaIn(entry),
    payload: entry.payload === undefined ? undefined : payloadIn(entry.payload, blobs),
  };
}

function typeIn({ seq, type }: JournalEntry): EntryType {
  const known = ENTRY_TYPES.find((one) => one === type);
  if (known === undefined) {
    throw new JournalFileError(
      `entry ${seq} is a ${type}, which this version of Pawl does not know`,
    );
  }
  return known;
}

function payloadIn(payload: PayloadProto, blobs: PayloadBlob[]): Payload {
  const { encoding, data } = payload;
  if (data.byteLength <= BOUNDS.inlinePayloadBytes) return { encoding, data };
  const address = sha256(data);
  if (!blobs.some((blob) => blob.sha256 === address)) blobs.push({ sha256: address, data });
  return { encoding, ref: { sha256: address, size: data.byteLength } };
}

/** The reverse of what the API makes of an entry, as far as a replay needs it. */
function metaIn(entry: JournalEntry): EntryMeta {
  const { details } = entry;
  const until = timeIn(entry.until);
  const meta: EntryMeta = { fence: entry.fence };
  if (entry.stepKey !== "") {
    meta.kind = stepKindIn(entry.kind);
    if (entry.name !== "" && entry.name !== entry.stepKey) meta.name = entry.name;
  }
  if (entry.inputDigest !== "") meta.inputDigest = entry.inputDigest;
  if (entry.definitionDigest !== "") meta.definitionDigest = entry.definitionDigest;
  if (entry.failure !== undefined) meta.failure = failureIn("failure", entry.failure);
  if (until !== undefined) meta.until = until;
  const outcome = outcomeIn(entry.outcome);
  if (outcome !== undefined) meta.outcome = outcome;
  if (details.recovery === "at_most_once") meta.atMostOnce = true;
  if (details.signal_name !== undefined) meta.signalName = details.signal_name;
  if (details.signal_id !== undefined) meta.signalId = details.signal_id;
  if (details.child_run_id !== undefined) meta.childRunId = details.child_run_id;
  if (details.superseded !== undefined) meta.superseded = keysIn(details.superseded);
  if (entry.question !== undefined) meta.question = questionIn(entry.question);
  if (details.cron !== undefined) meta.cron = details.cron;
  if (details.time_zone !== undefined) meta.timeZone = details.time_zone;
  if (details.tags !== undefined) meta.details = { tags: details.tags };
  if (details.why !== undefined) meta.closed = CLOSED.find((why) => why === details.why) ?? "lost";
  if (details.returned !== undefined) meta.returned = details.returned;
  if (details.compensations !== undefined) meta.compensations = keysIn(details.compensations);
  answerIn(meta, details);
  return meta;
}

const CLOSED: readonly ClosedWhy[] = ["lost", "withdrawn", "cancelled"];

const WAYS: readonly AnswerVia[] = ["api", "link", "callback"];

/** Who answered or ended a wait, and why: code may go by that, too. */
function answerIn(meta: EntryMeta, details: JournalEntry["details"]): void {
  const via = WAYS.find((way) => way === details.via);
  if (details.actor !== undefined) meta.actor = details.actor;
  if (details.comment !== undefined) meta.comment = details.comment;
  if (details.resolution_id !== undefined) meta.resolutionId = details.resolution_id;
  if (via !== undefined) meta.via = via;
  if (details.approved !== undefined) meta.approved = details.approved === "true";
  if (details.answers !== undefined) meta.details = { answers: details.answers };
}

function keysIn(json: string): string[] {
  const keys: unknown = JSON.parse(json);
  return Array.isArray(keys) ? keys.map(String) : [];
}

function timeIn(time: Timestamp | undefined): number | undefined {
  return time === undefined ? undefined : Number(time.seconds) * 1_000 + time.nanos / 1e6;
}
