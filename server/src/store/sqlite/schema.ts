import { sql } from "drizzle-orm";
import {
  blob,
  index,
  integer,
  primaryKey,
  sqliteTable,
  text,
  uniqueIndex,
} from "drizzle-orm/sqlite-core";
import { mapColumns } from "../run-columns.ts";

/**
 * The tables of the embedded store. Only the migration generator and the tests import this file:
 * the server itself runs the committed migrations and hand-written statements. Times are in ms
 * since the epoch; JSON is text, so that what is read is byte for byte what was written.
 */

/** Run headers. The hot columns are seq and updated_at; no index contains them. */
export const run = sqliteTable(
  "run",
  {
    ...mapColumns(({ name, type, isNullable }) => {
      const column = type === "text" ? text(name) : integer(name);
      return isNullable === true ? column : column.notNull();
    }),
    runUid: text("run_uid").notNull().default(""),
  },
  (t) => [
    primaryKey({ columns: [t.org, t.runId] }),
    index("run_created").on(t.org, t.createdAt, t.runId),
    index("run_status").on(t.org, t.state, t.createdAt, t.runId),
    index("run_workflow").on(t.org, t.workflow, t.createdAt, t.runId),
    index("run_parent")
      .on(t.org, t.parentRunId, t.createdAt, t.runId)
      .where(sql`parent_run_id <> ''`),
    index("run_ended").on(t.org, t.endedAt, t.runId).where(sql`ended_at > 0`),
  ],
);

/** The tags of the runs, for lists by tag. */
export const runTag = sqliteTable(
  "run_tag",
  {
    orgId: text("org_id").notNull(),
    key: text("key").notNull(),
    value: text("value").notNull(),
    createdAt: integer("created_at").notNull(),
    runId: text("run_id").notNull(),
  },
  (t) => [
    primaryKey({ columns: [t.orgId, t.key, t.value, t.createdAt, t.runId] }),
    index("run_tag_run").on(t.orgId, t.runId),
  ],
);

/** What happened to each run, gapless from 1. `crc` covers all that a reader acts on. */
export const journal = sqliteTable(
  "journal",
  {
    orgId: text("org_id").notNull(),
    runId: text("run_id").notNull(),
    seq: integer("seq").notNull(),
    at: integer("at").notNull(),
    attempt: integer("attempt").notNull(),
    crc: integer("crc").notNull(),
    type: text("type").notNull(),
    stepKey: text("step_key").notNull(),
    meta: text("meta").notNull(),
    encoding: text("encoding"),
    payloadSha256: text("payload_sha256"),
    payloadSize: integer("payload_size"),
    payload: blob("payload", { mode: "buffer" }),
  },
  (t) => [primaryKey({ columns: [t.orgId, t.runId, t.seq] })],
);

/** Runs that wait for a worker. */
export const ready = sqliteTable(
  "ready",
  {
    orgId: text("org_id").notNull(),
    runId: text("run_id").notNull(),
    queue: text("queue").notNull(),
    lane: text("lane").notNull(),
    rank: integer("rank").notNull(),
    readyAt: integer("ready_at").notNull(),
  },
  (t) => [
    primaryKey({ columns: [t.orgId, t.runId] }),
    index("ready_order").on(t.orgId, t.queue, t.lane, t.rank, t.readyAt, t.runId),
  ],
);

/** What happens later, to a subject (see `formatSubject`). Read by organization, so that each gets its turn. */
export const due = sqliteTable(
  "due",
  {
    orgId: text("org_id").notNull(),
    subject: text("subject").notNull(),
    kind: text("kind").notNull(),
    stepKey: text("step_key").notNull(),
    at: integer("at").notNull(),
    data: text("data").notNull(),
  },
  (t) => [
    primaryKey({ columns: [t.orgId, t.subject, t.kind, t.stepKey] }),
    index("due_at").on(t.orgId, t.at, t.subject),
  ],
);

/**
 * Who holds which run. Renewals rewrite `until` all the time, so that no index contains it: what
 * has expired is found by reading the leases, which are few.
 */
export const lease = sqliteTable(
  "lease",
  {
    orgId: text("org_id").notNull(),
    runId: text("run_id").notNull(),
    connectionId: text("connection_id").notNull(),
    workerId: text("worker_id").notNull(),
    until: integer("until").notNull(),
  },
  (t) => [
    primaryKey({ columns: [t.orgId, t.runId] }),
    index("lease_connection").on(t.connectionId),
  ],
);

/** Payloads that are too large for the journal, by their content. */
export const payload = sqliteTable(
  "payload",
  {
    orgId: text("org_id").notNull(),
    sha256: text("sha256").notNull(),
    /** When it was last put. */
    putAt: integer("put_at").notNull(),
    size: integer("size").notNull(),
    data: blob("data", { mode: "buffer" }).notNull(),
  },
  (t) => [primaryKey({ columns: [t.orgId, t.sha256] }), index("payload_put").on(t.putAt)],
);

/** Which runs need a payload. */
export const payloadRef = sqliteTable(
  "payload_ref",
  {
    orgId: text("org_id").notNull(),
    sha256: text("sha256").notNull(),
    runId: text("run_id").notNull(),
  },
  (t) => [
    primaryKey({ columns: [t.orgId, t.sha256, t.runId] }),
    index("payload_ref_run").on(t.orgId, t.runId),
  ],
);

/** Workflows as workers registered them. */
export const workflow = sqliteTable(
  "workflow",
  {
    orgId: text("org_id").notNull(),
    name: text("name").notNull(),
    version: text("version").notNull(),
    description: text("description").notNull(),
    inputSchema: text("input_schema").notNull(),
    outputSchema: text("output_schema").notNull(),
    metadata: text("metadata").notNull(),
    /** Its limits as JSON; empty: none. */
    flow: text("flow").notNull().default(""),
    /** The time limits of its runs as JSON; empty: none. */
    timeouts: text("timeouts").notNull().default(""),
    versions: text("versions").notNull(),
    registeredAt: integer("registered_at").notNull(),
    revision: integer("revision").notNull().default(1),
  },
  (t) => [primaryKey({ columns: [t.orgId, t.name] })],
);

/** Worker processes, connected or seen before. */
export const workerProcess = sqliteTable(
  "worker_process",
  {
    orgId: text("org_id").notNull(),
    workerId: text("worker_id").notNull(),
    instanceId: text("instance_id").notNull(),
    connected: integer("connected").notNull(),
    seenAt: integer("seen_at").notNull(),
    info: text("info").notNull(),
  },
  (t) => [
    primaryKey({ columns: [t.orgId, t.instanceId] }),
    index("worker_process_seen").on(t.orgId, t.seenAt),
  ],
);

/** What servers of the version before know of workers, by name. */
export const worker = sqliteTable(
  "worker",
  {
    orgId: text("org_id").notNull(),
    workerId: text("worker_id").notNull(),
    instanceId: text("instance_id").notNull(),
    connected: integer("connected").notNull(),
    seenAt: integer("seen_at").notNull(),
    info: text("info").notNull(),
  },
  (t) => [
    primaryKey({ columns: [t.orgId, t.workerId] }),
    index("worker_seen").on(t.orgId, t.seenAt),
  ],
);

/** Messages from one replica to another: look at this run. */
export const nudge = sqliteTable(
  "nudge",
  {
    orgId: text("org_id").notNull(),
    runId: text("run_id").notNull(),
    replicaId: text("replica_id").notNull(),
  },
  (t) => [
    primaryKey({ columns: [t.orgId, t.runId, t.replicaId] }),
    index("nudge_replica").on(t.replicaId),
  ],
);

/**
 * Open waits, for lists across runs; what they wait for is in the journal. A list always names the
 * kind, so that few questions are found among many timers.
 */
export const wait = sqliteTable(
  "wait",
  {
    orgId: text("org_id").notNull(),
    runId: text("run_id").notNull(),
    stepKey: text("step_key").notNull(),
    kind: text("kind").notNull(),
    workflow: text("workflow").notNull(),
    since: integer("since").notNull(),
    until: integer("until").notNull(),
    data: text("data").notNull(),
  },
  (t) => [
    primaryKey({ columns: [t.orgId, t.runId, t.stepKey] }),
    index("wait_kind").on(t.orgId, t.kind, t.since, t.runId, t.stepKey),
    index("wait_workflow").on(t.orgId, t.workflow, t.kind, t.since, t.runId, t.stepKey),
  ],
);

/** Who may answer which question; an empty name for one that anybody may answer. */
export const waitAssignee = sqliteTable(
  "wait_assignee",
  {
    orgId: text("org_id").notNull(),
    assignee: text("assignee").notNull(),
    since: integer("since").notNull(),
    runId: text("run_id").notNull(),
    stepKey: text("step_key").notNull(),
  },
  (t) => [
    primaryKey({ columns: [t.orgId, t.assignee, t.since, t.runId, t.stepKey] }),
    index("wait_assignee_run").on(t.orgId, t.runId, t.stepKey),
  ],
);

/** What signs links: made once, shared by all servers. */
export const secret = sqliteTable(
  "secret",
  {
    orgId: text("org_id").notNull(),
    name: text("name").notNull(),
    value: text("value").notNull(),
  },
  (t) => [primaryKey({ columns: [t.orgId, t.name] })],
);

/**
 * Live output, in chunks: the deltas numbered `first` to `last` of those that were sent under a
 * fence, after the journal entry `after_seq`. `keep`: 1 as long as the journal, 0 until what it
 * belongs to has ended. Written without waiting for the disk, but with the entries that follow.
 */
export const delta = sqliteTable(
  "delta",
  {
    orgId: text("org_id").notNull(),
    runId: text("run_id").notNull(),
    fence: integer("fence").notNull(),
    first: integer("first").notNull(),
    last: integer("last").notNull(),
    afterSeq: integer("after_seq").notNull(),
    at: integer("at").notNull(),
    keep: integer("keep").notNull(),
    steps: text("steps").notNull(),
    data: blob("data", { mode: "buffer" }).notNull(),
  },
  (t) => [
    primaryKey({ columns: [t.orgId, t.runId, t.fence, t.first] }),
    index("delta_sweep").on(t.orgId, t.runId).where(sql`keep = 0`),
  ],
);

/**
 * What lets that many runs pass at once, or, with a period, in any such period. `wake_at`: when to look
 * at it, null for when something changes, which raises its version. See engine/flow.ts.
 */
export const gate = sqliteTable(
  "gate",
  {
    orgId: text("org_id").notNull(),
    gate: text("gate").notNull(),
    capacity: integer("capacity").notNull(),
    periodMs: integer("period_ms").notNull(),
    wakeAt: integer("wake_at"),
    version: integer("version").notNull(),
  },
  (t) => [primaryKey({ columns: [t.orgId, t.gate] }), index("gate_wake").on(t.wakeAt)],
);

/** Runs that are held back before a gate. */
export const held = sqliteTable(
  "held",
  {
    orgId: text("org_id").notNull(),
    runId: text("run_id").notNull(),
    gate: text("gate").notNull(),
    nextGate: text("next_gate").notNull(),
    nextCapacity: integer("next_capacity").notNull(),
    rank: integer("rank").notNull(),
    turn: integer("turn").notNull(),
    heldAt: integer("held_at").notNull(),
    fair: text("fair").notNull(),
    queue: text("queue").notNull(),
    lane: text("lane").notNull(),
  },
  (t) => [
    primaryKey({ columns: [t.orgId, t.runId] }),
    index("held_order").on(t.gate, t.orgId, t.rank, t.turn, t.heldAt, t.runId),
    index("held_fair").on(t.gate, t.orgId, t.fair, t.turn),
  ],
);

/** Runs that passed a gate; `until`: when that expires, 0 for when the run stops. */
export const permit = sqliteTable(
  "permit",
  {
    orgId: text("org_id").notNull(),
    gate: text("gate").notNull(),
    runId: text("run_id").notNull(),
    until: integer("until").notNull(),
  },
  (t) => [
    primaryKey({ columns: [t.orgId, t.runId, t.gate] }),
    index("permit_gate").on(t.gate, t.orgId, t.runId),
  ],
);

/** Credentials of programs. Of the key itself only a digest is stored. Times are 0 where there is none. */
export const apiKey = sqliteTable(
  "api_key",
  {
    orgId: text("org_id").notNull(),
    keyId: text("key_id").notNull(),
    digest: text("digest").notNull(),
    name: text("name").notNull(),
    kind: text("kind").notNull(),
    scopes: text("scopes").notNull(),
    createdBy: text("created_by").notNull(),
    createdAt: integer("created_at").notNull(),
    expiresAt: integer("expires_at").notNull(),
    revokedAt: integer("revoked_at").notNull(),
    lastUsedAt: integer("last_used_at").notNull(),
    replacedBy: text("replaced_by").notNull(),
  },
  (t) => [primaryKey({ columns: [t.orgId, t.keyId] }), uniqueIndex("api_key_digest").on(t.digest)],
);

/** One row, whose number rises with every change of rights, so that servers know when to look again. */
export const authEpoch = sqliteTable(
  "auth_epoch",
  { id: integer("id").notNull(), epoch: integer("epoch").notNull() },
  (t) => [primaryKey({ columns: [t.id] })],
);
