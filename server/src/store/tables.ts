/**
 * The tables of both stores. `sqlite/schema.ts` and `postgres/schema.ts` declare them to drizzle, each
 * with its own types of columns. Times are in ms since the epoch; JSON is text, so that what is read
 * is byte for byte what was written.
 */
import { RECORD_TABLES } from "./records.ts";
import { ROW_TABLES } from "./row-parts.ts";
import { RUN_TABLE_COLUMNS } from "./run-columns.ts";
import { table } from "./table.ts";

/** Run headers. The hot columns are seq and updated_at; no index contains them (HOT updates). */
const run = table({
  name: "run",
  columns: RUN_TABLE_COLUMNS,
  key: ["org_id", "run_id"],
  indexes: [
    { name: "run_created", on: ["org_id", "created_at", "run_id"] },
    { name: "run_status", on: ["org_id", "status", "created_at", "run_id"] },
    { name: "run_workflow", on: ["org_id", "workflow", "created_at", "run_id"] },
    {
      name: "run_parent",
      on: ["org_id", "parent_run_id", "created_at", "run_id"],
      where: "parent_run_id <> ''",
    },
    { name: "run_ended", on: ["org_id", "ended_at", "run_id"], where: "ended_at > 0" },
  ],
});

/** The tags of the runs, for lists by tag. */
const runTag = table({
  name: "run_tag",
  columns: { org_id: "text", key: "text", value: "text", created_at: "int8", run_id: "text" },
  key: ["org_id", "key", "value", "created_at", "run_id"],
  indexes: [{ name: "run_tag_run", on: ["org_id", "run_id"] }],
});

/** What happened to each run, gapless from 1. `crc` covers all that a reader acts on. */
const journal = table({
  name: "journal",
  columns: {
    org_id: "text",
    run_id: "text",
    seq: "int4",
    at: "int8",
    attempt: "int4",
    crc: "int8",
    type: "text",
    step_key: "text",
    meta: "text",
    encoding: { type: "text", isNullable: true },
    payload_sha256: { type: "text", isNullable: true },
    payload_size: { type: "int8", isNullable: true },
    payload: { type: "bytes", isNullable: true },
  },
  key: ["org_id", "run_id", "seq"],
});

/** What happens later, to a subject (see `formatSubject`). Read by organization, so that each gets its turn. */
const due = table({
  name: "due",
  columns: {
    org_id: "text",
    subject: "text",
    kind: "text",
    step_key: "text",
    at: "int8",
    data: "text",
  },
  key: ["org_id", "subject", "kind", "step_key"],
  indexes: [{ name: "due_at", on: ["org_id", "at", "subject"] }],
});

/** Payloads that are too large for the journal, by their content. `put_at`: when it was last put. */
const payload = table({
  name: "payload",
  columns: { org_id: "text", sha256: "text", put_at: "int8", size: "int8", data: "bytes" },
  key: ["org_id", "sha256"],
  indexes: [{ name: "payload_put", on: ["put_at"] }],
});

/** Which runs need a payload. */
const payloadRef = table({
  name: "payload_ref",
  columns: { org_id: "text", sha256: "text", run_id: "text" },
  key: ["org_id", "sha256", "run_id"],
  indexes: [{ name: "payload_ref_run", on: ["org_id", "run_id"] }],
});

const workerColumns = {
  org_id: "text",
  worker_id: "text",
  instance_id: "text",
  connected: "int4",
  seen_at: "int8",
  info: "text",
} as const;

/** Worker processes, connected or seen before. */
const workerProcess = table({
  name: "worker_process",
  columns: workerColumns,
  key: ["org_id", "instance_id"],
  indexes: [{ name: "worker_process_seen", on: ["org_id", "seen_at"] }],
});

/** What servers of the version before know of workers, by name. */
const worker = table({
  name: "worker",
  columns: workerColumns,
  key: ["org_id", "worker_id"],
  indexes: [{ name: "worker_seen", on: ["org_id", "seen_at"] }],
});

/** What signs links: made once, shared by all servers. */
const secret = table({
  name: "secret",
  columns: { org_id: "text", name: "text", value: "text" },
  key: ["org_id", "name"],
});

/**
 * Live output, in chunks: the deltas numbered `first` to `last` of those that were sent under a
 * fence, after the journal entry `after_seq`. `keep`: 1 as long as the journal, 0 until what it
 * belongs to has ended. Written without waiting for the disk, but with the entries that follow.
 */
const delta = table({
  name: "delta",
  columns: {
    org_id: "text",
    run_id: "text",
    fence: "int4",
    first: "int4",
    last: "int4",
    after_seq: "int4",
    at: "int8",
    keep: "int4",
    steps: "text",
    data: "bytes",
  },
  key: ["org_id", "run_id", "fence", "first"],
  indexes: [{ name: "delta_sweep", on: ["org_id", "run_id"], where: "keep = 0" }],
});

/**
 * What lets that many runs pass at once, or, with a period, in any such period. `wake_at`: when to look
 * at it, null for when something changes, which raises its version. See engine/flow.ts.
 */
const gate = table({
  name: "gate",
  columns: {
    org_id: "text",
    gate: "text",
    capacity: "int4",
    period_ms: "int8",
    wake_at: { type: "int8", isNullable: true },
    version: "int4",
  },
  key: ["org_id", "gate"],
  indexes: [{ name: "gate_wake", on: ["wake_at"] }],
});

/** Runs that are held back before a gate. */
const held = table({
  name: "held",
  columns: {
    org_id: "text",
    run_id: "text",
    gate: "text",
    next_gate: "text",
    next_capacity: "int4",
    rank: "int4",
    turn: "int8",
    held_at: "int8",
    fair: "text",
    queue: "text",
    lane: "text",
  },
  key: ["org_id", "run_id"],
  indexes: [
    { name: "held_order", on: ["gate", "org_id", "rank", "turn", "held_at", "run_id"] },
    { name: "held_fair", on: ["gate", "org_id", "fair", "turn"] },
  ],
});

/** Runs that passed a gate; `until`: when that expires, 0 for when the run stops. */
const permit = table({
  name: "permit",
  columns: { org_id: "text", gate: "text", run_id: "text", until: "int8" },
  key: ["org_id", "run_id", "gate"],
  indexes: [{ name: "permit_gate", on: ["gate", "org_id", "run_id"] }],
});

/** Credentials of programs. Of the key itself only a digest is stored. Times are 0 where there is none. */
const apiKey = table({
  name: "api_key",
  columns: {
    org_id: "text",
    key_id: "text",
    digest: "text",
    name: "text",
    kind: "text",
    scopes: "text",
    created_by: "text",
    created_at: "int8",
    expires_at: "int8",
    revoked_at: "int8",
    last_used_at: "int8",
    replaced_by: "text",
  },
  key: ["org_id", "key_id"],
  indexes: [{ name: "api_key_digest", on: ["digest"], isUnique: true }],
});

/** One row, whose number rises with every change of rights, so that servers know when to look again. */
const authEpoch = table({
  name: "auth_epoch",
  columns: { id: "int4", epoch: "int8" },
  key: ["id"],
});

export const TABLES = {
  run,
  runTag,
  journal,
  due,
  payload,
  payloadRef,
  workerProcess,
  worker,
  secret,
  delta,
  gate,
  held,
  permit,
  apiKey,
  authEpoch,
  ...RECORD_TABLES,
  ...ROW_TABLES,
};
