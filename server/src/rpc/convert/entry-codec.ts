/**
 * Journal entries, both ways: `entryIn(entryOut(entry))` is the entry, but for what only the server needs
 * and the contract does not have (retry policy, time limit and request id of a step's start, and whose
 * payload an entry borrows).
 */
import { create } from "@bufbuild/protobuf";
import type { Timestamp } from "@bufbuild/protobuf/wkt";
import { type JournalEntry, JournalEntrySchema } from "@pawl/proto";
import type {
  ClosedWhy,
  Entry,
  EntryHead,
  EntryMeta,
  EntryType,
  Undone,
} from "../../model/entry.ts";
import { ENTRY_TYPES } from "../../model/entry.ts";
import { invalid } from "../../model/errors.ts";
import type { AnswerVia } from "../../model/question.ts";
import {
  failureIn,
  failureOut,
  outcomeIn,
  outcomeOut,
  payloadIn,
  payloadOut,
  stepKindIn,
  stepKindOut,
  timestamp,
} from "./common-messages.ts";
import { questionIn, questionOut } from "./question-messages.ts";

/** How one member of an entry's meta is written among its details. */
interface Fact {
  readonly name: string;
  write(meta: EntryMeta): string | undefined;
  read(text: string): EntryMeta;
}

type Named<Value> = { [K in keyof EntryMeta]-?: Required<EntryMeta>[K] extends Value ? K : never };
type FieldOf<Value> = Named<Value>[keyof EntryMeta];

function textFact(name: string, field: FieldOf<string>): Fact {
  return { name, write: (meta) => meta[field], read: (text) => ({ [field]: text }) };
}

function keysFact(name: string, field: "failedKeys" | "superseded" | "compensations"): Fact {
  return {
    name,
    write: (meta) => meta[field] && JSON.stringify(meta[field]),
    read: (text) => ({ [field]: keysIn(text) }),
  };
}

function keysIn(json: string): string[] {
  const keys: unknown = JSON.parse(json);
  return Array.isArray(keys) ? keys.map(String) : [];
}

const CLOSED: readonly ClosedWhy[] = ["lost", "withdrawn", "cancelled"];
const WAYS: readonly AnswerVia[] = ["api", "link", "callback"];
const UNKNOWN: Undone = "unknown";

const FACTS: readonly Fact[] = [
  textFact("signal_name", "signalName"),
  textFact("signal_id", "signalId"),
  textFact("child_run_id", "childRunId"),
  keysFact("failed_step_keys", "failedKeys"),
  keysFact("superseded", "superseded"),
  textFact("reason", "reason"),
  {
    name: "why",
    write: ({ closed }) => closed,
    read: (text) => ({ closed: CLOSED.find((why) => why === text) ?? "lost" }),
  },
  textFact("returned", "returned"),
  keysFact("compensations", "compensations"),
  {
    name: "undone",
    write: ({ undone }) => (undone === UNKNOWN ? undone : undone && JSON.stringify(undone)),
    read: (text) => ({ undone: text === UNKNOWN ? UNKNOWN : keysIn(text) }),
  },
  textFact("actor", "actor"),
  textFact("resolution_id", "resolutionId"),
  {
    name: "via",
    write: ({ via }) => via,
    read: (text) => ({ via: WAYS.find((way) => way === text) ?? "api" }),
  },
  textFact("comment", "comment"),
  {
    name: "approved",
    write: ({ approved }) => (approved === undefined ? undefined : String(approved)),
    read: (text) => ({ approved: text === "true" }),
  },
  textFact("cron", "cron"),
  textFact("time_zone", "timeZone"),
  {
    name: "recovery",
    write: ({ atMostOnce }) => (atMostOnce === true ? "at_most_once" : undefined),
    read: (text) => (text === "at_most_once" ? { atMostOnce: true } : {}),
  },
];

/** All facts of an entry that have no field of their own. */
export function detailsOut(meta: EntryMeta): Record<string, string> {
  const details: Record<string, string> = { ...meta.details };
  for (const { name, write } of FACTS) {
    const text = write(meta);
    if (text !== undefined) details[name] = text;
  }
  return details;
}

function detailsIn({ type, details }: JournalEntry): EntryMeta {
  // Names that users chose, which mean nothing here.
  if (type === "run.tags.changed") return { details: { ...details } };
  const rest = { ...details };
  const meta: EntryMeta = {};
  for (const { name, read } of FACTS) {
    const text = rest[name];
    if (text === undefined) continue;
    Object.assign(meta, read(text));
    delete rest[name];
  }
  return Object.keys(rest).length === 0 ? meta : { ...meta, details: rest };
}

function inputOut(input: NonNullable<EntryMeta["input"]>) {
  const data =
    input.text === undefined
      ? Buffer.from(input.base64 ?? "", "base64")
      : Buffer.from(input.text, "utf8");
  return { encoding: input.encoding, data };
}

function inputIn({ encoding, data }: NonNullable<JournalEntry["input"]>): EntryMeta["input"] {
  const bytes = Buffer.from(data);
  return encoding === "bytes"
    ? { encoding, base64: bytes.toString("base64") }
    : { encoding, text: bytes.toString("utf8") };
}

export function entryOut(entry: EntryHead & Partial<Pick<Entry, "payload">>): JournalEntry {
  const meta = entry.meta;
  return create(JournalEntrySchema, {
    seq: entry.seq,
    recordedAt: timestamp(entry.at),
    type: entry.type,
    stepKey: entry.key,
    attempt: entry.attempt,
    name: meta.name ?? entry.key,
    kind: entry.key === "" ? 0 : stepKindOut(meta.kind ?? "step"),
    workerId: meta.worker ?? "",
    fence: meta.fence ?? 0,
    latencyMs: meta.ms ?? 0,
    inputDigest: meta.inputDigest ?? "",
    definitionDigest: meta.definitionDigest ?? "",
    outcome: outcomeOut(meta.outcome),
    details: detailsOut(meta),
    ...(meta.deltas !== undefined && { deltas: meta.deltas }),
    ...(entry.payload !== undefined && { payload: payloadOut(entry.payload) }),
    ...(meta.failure !== undefined && { failure: failureOut(meta.failure) }),
    ...(meta.until !== undefined && { until: timestamp(meta.until) }),
    ...(meta.question !== undefined && { question: questionOut(meta.question) }),
    ...(meta.input !== undefined && { input: inputOut(meta.input) }),
  });
}

/** @throws PawlError INVALID_ARGUMENT for an entry that this version does not know */
export function entryIn(entry: JournalEntry): Entry {
  const { seq, stepKey, attempt, payload } = entry;
  return {
    seq,
    at: timeIn(entry.recordedAt) ?? 0,
    type: typeIn(entry),
    key: stepKey,
    attempt,
    meta: metaIn(entry),
    payload: payload === undefined ? undefined : payloadIn("payload", payload),
  };
}

function typeIn({ seq, type }: JournalEntry): EntryType {
  const known = ENTRY_TYPES.find((one) => one === type);
  if (known === undefined)
    throw invalid(`entries[${seq}].type`, `is ${type}, which this version of Pawl does not know`);
  return known;
}

/** What the contract writes as an empty text or 0 is absent. */
function metaIn(entry: JournalEntry): EntryMeta {
  const { stepKey, name, kind, workerId, fence, latencyMs, deltas, input, failure } = entry;
  const { inputDigest, definitionDigest, question } = entry;
  const until = timeIn(entry.until);
  const outcome = outcomeIn(entry.outcome);
  const stepKind = stepKey === "" ? "step" : stepKindIn(kind);
  const keptInput = input === undefined ? undefined : inputIn(input);
  return {
    ...(name !== "" && name !== stepKey && { name }),
    ...(stepKind !== "step" && { kind: stepKind }),
    ...(workerId !== "" && { worker: workerId }),
    ...(fence !== 0 && { fence }),
    ...(latencyMs !== 0 && { ms: latencyMs }),
    ...(inputDigest !== "" && { inputDigest }),
    ...(definitionDigest !== "" && { definitionDigest }),
    ...(keptInput !== undefined && { input: keptInput }),
    ...(failure !== undefined && { failure: failureIn("failure", failure) }),
    ...(until !== undefined && { until }),
    ...(outcome !== undefined && { outcome }),
    ...(deltas !== 0 && { deltas }),
    ...(question !== undefined && { question: questionIn(question) }),
    ...detailsIn(entry),
  };
}

export function timeIn(time: Timestamp | undefined): number | undefined {
  return time === undefined ? undefined : Number(time.seconds) * 1_000 + time.nanos / 1e6;
}
