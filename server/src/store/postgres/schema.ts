import { sql } from "drizzle-orm";
import {
  bigint,
  customType,
  index,
  integer,
  pgSchema,
  primaryKey,
  uniqueIndex,
} from "drizzle-orm/pg-core";
import { mapColumns } from "../run-columns.ts";

/**
 * The tables of the PostgreSQL store, in a schema of their own. Only the migration generator and
 * the tests import this file: the server itself runs the committed migrations and hand-written
 * statements. Times are in ms since the epoch; JSON is text, so that what is read is byte for byte
 * what was written. What drizzle cannot declare (fillfactor, autovacuum) is in the migration.
 */
const pawl = pgSchema("pawl");

/** Compared byte by byte: cheap, and the same order whatever the database's locale is. */
const text = customType<{ data: string }>({ dataType: () => 'text COLLATE "C"' });
const bytea = customType<{ data: Uint8Array }>({ dataType: () => "bytea" });
/** Milliseconds, sizes, checksums: always below 2^53. */
const int8 = (name: string) => bigint(name, { mode: "number" });

/** Run headers. The hot columns are seq and updated_at; no index contains them (HOT updates). */
export const run = pawl.table(
  "run",
  {
    ...mapColumns(({ name, type, isNullable }) => {
      const column = type === "int4" ? integer(name) : type === "int8" ? int8(name) : text(name);
      return isNullable === true ? column : column.notNull();
    }),
    runUid: text("run_uid").notNull().default(sql`pawl.new_uid()`),
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
export const runTag = pawl.table(
  "run_tag",
  {
    orgId: text("org_id").notNull(),
    key: text("key").notNull(),
    value: text("value").notNull(),
    createdAt: int8("created_at").notNull(),
    runId: text("run_id").notNull(),
  },
  (t) => [
    primaryKey({ columns: [t.orgId, t.key, t.value, t.createdAt, t.runId] }),
    index("run_tag_run").on(t.orgId, t.runId),
  ],
);

/** What happened to each run, gapless from 1. `crc` covers all that a reader acts on. */
export const journal = pawl.table(
  "journal",
  {
    orgId: text("org_id").notNull(),
    runId: text("run_id").notNull(),
    seq: integer("seq").notNull(),
    at: int8("at").notNull(),
    attempt: integer("attempt").notNull(),
    crc: int8("crc").notNull(),
    type: text("type").notNull(),
    stepKey: text("step_key").notNull(),
    meta: text("meta").notNull(),
    encoding: text("encoding"),
    payloadSha256: text("payload_sha256"),
    payloadSize: int8("payload_size"),
    payload: bytea("payload"),
  },
  (t) => [primaryKey({ columns: [t.orgId, t.runId, t.seq] })],
);

/** Runs that wait for a worker. */
export const ready = pawl.table(
  "ready",
  {
    orgId: text("org_id").notNull(),
    runId: text("run_id").notNull(),
    queue: text("queue").notNull(),
    lane: text("lane").notNull(),
    rank: integer("rank").notNull(),
    readyAt: int8("ready_at").notNull(),
  },
  (t) => [
    primaryKey({ columns: [t.orgId, t.runId] }),
    index("ready_order").on(t.orgId, t.queue, t.lane, t.rank, t.readyAt, t.runId),
  ],
);

/** What happens later, to a subject (see `formatSubject`). Read by organization, so that each gets its turn. */
export const due = pawl.table(
  "due",
  {
    orgId: text("org_id").notNull(),
    subject: text("subject").notNull(),
    kind: text("kind").notNull(),
    stepKey: text("step_key").notNull(),
    at: int8("at").notNull(),
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
export const lease = pawl.table(
  "lease",
  {
    orgId: text("org_id").notNull(),
    runId: text("run_id").notNull(),
    connectionId: text("connection_id").notNull(),
    workerId: text("worker_id").notNull(),
    until: int8("until").notNull(),
  },
  (t) => [
    primaryKey({ columns: [t.orgId, t.runId] }),
    index("lease_connection").on(t.connectionId),
  ],
);

/** Payloads that are too large for the journal, by their content. */
export const payload = pawl.table(
  "payload",
  {
    orgId: text("org_id").notNull(),
    sha256: text("sha256").notNull(),
    /** When it was last put. */
    putAt: int8("put_at").notNull(),
    size: int8("size").notNull(),
    data: bytea("data").notNull(),
  },
  (t) => [primaryKey({ columns: [t.orgId, t.sha256] }), index("payload_put").on(t.putAt)],
);

/** Which runs need a payload. */
export const payloadRef = pawl.table(
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
export const workflow = pawl.table(
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
    registeredAt: int8("registered_at").notNull(),
    revision: integer("revision").notNull().default(1),
  },
  (t) => [primaryKey({ columns: [t.orgId, t.name] })],
);

/** Worker processes, connected or seen before. */
export const workerProcess = pawl.table(
  "worker_process",
  {
    orgId: text("org_id").notNull(),
    workerId: text("worker_id").notNull(),
    instanceId: text("instance_id").notNull(),
    connected: integer("connected").notNull(),
    seenAt: int8("seen_at").notNull(),
    info: text("info").notNull(),
  },
  (t) => [
    primaryKey({ columns: [t.orgId, t.instanceId] }),
    index("worker_process_seen").on(t.orgId, t.seenAt),
  ],
);

/** What servers of the version before know of workers, by name. */
export const worker = pawl.table(
  "worker",
  {
    orgId: text("org_id").notNull(),
    workerId: text("worker_id").notNull(),
    instanceId: text("instance_id").notNull(),
    connected: integer("connected").notNull(),
    seenAt: int8("seen_at").notNull(),
    info: text("info").notNull(),
  },
  (t) => [
    primaryKey({ columns: [t.orgId, t.workerId] }),
    index("worker_seen").on(t.orgId, t.seenAt),
  ],
);

/** Messages from one replica to another: look at this run. */
export const nudge = pawl.table(
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
export const wait = pawl.table(
  "wait",
  {
    orgId: text("org_id").notNull(),
    runId: text("run_id").notNull(),
    stepKey: text("step_key").notNull(),
    kind: text("kind").notNull(),
    workflow: text("workflow").notNull(),
    since: int8("since").notNull(),
    until: int8("until").notNull(),
    data: text("data").notNull(),
  },
  (t) => [
    primaryKey({ columns: [t.orgId, t.runId, t.stepKey] }),
    index("wait_kind").on(t.orgId, t.kind, t.since, t.runId, t.stepKey),
    index("wait_workflow").on(t.orgId, t.workflow, t.kind, t.since, t.runId, t.stepKey),
  ],
);

/** Who may answer which question; an empty name for one that anybody may answer. */
export const waitAssignee = pawl.table(
  "wait_assignee",
  {
    orgId: text("org_id").notNull(),
    assignee: text("assignee").notNull(),
    since: int8("since").notNull(),
    runId: text("run_id").notNull(),
    stepKey: text("step_key").notNull(),
  },
  (t) => [
    primaryKey({ columns: [t.orgId, t.assignee, t.since, t.runId, t.stepKey] }),
    index("wait_assignee_run").on(t.orgId, t.runId, t.stepKey),
  ],
);

/** What signs links: made once, shared by all servers. */
export const secret = pawl.table(
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
export const delta = pawl.table(
  "delta",
  {
    orgId: text("org_id").notNull(),
    runId: text("run_id").notNull(),
    fence: integer("fence").notNull(),
    first: integer("first").notNull(),
    last: integer("last").notNull(),
    afterSeq: integer("after_seq").notNull(),
    at: int8("at").notNull(),
    keep: integer("keep").notNull(),
    steps: text("steps").notNull(),
    data: bytea("data").notNull(),
  },
  (t) => [
    primaryKey({ columns: [t.orgId, t.runId, t.fence, t.first] }),
    index("delta_sweep").on(t.orgId, t.runId).where(sql`keep = 0`),
  ],
);

/** What lets that many runs pass at once, or in any period. `wake_at` null: when something changes. */
export const gate = pawl.table(
  "gate",
  {
    orgId: text("org_id").notNull(),
    gate: text("gate").notNull(),
    capacity: integer("capacity").notNull(),
    periodMs: int8("period_ms").notNull(),
    wakeAt: int8("wake_at"),
    version: integer("version").notNull(),
  },
  (t) => [primaryKey({ columns: [t.orgId, t.gate] }), index("gate_wake").on(t.wakeAt)],
);

/** Runs that are held back before a gate. */
export const held = pawl.table(
  "held",
  {
    orgId: text("org_id").notNull(),
    runId: text("run_id").notNull(),
    gate: text("gate").notNull(),
    nextGate: text("next_gate").notNull(),
    nextCapacity: integer("next_capacity").notNull(),
    rank: integer("rank").notNull(),
    turn: int8("turn").notNull(),
    heldAt: int8("held_at").notNull(),
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
export const permit = pawl.table(
  "permit",
  {
    orgId: text("org_id").notNull(),
    gate: text("gate").notNull(),
    runId: text("run_id").notNull(),
    until: int8("until").notNull(),
  },
  (t) => [
    primaryKey({ columns: [t.orgId, t.runId, t.gate] }),
    index("permit_gate").on(t.gate, t.orgId, t.runId),
  ],
);

/** Credentials of programs. Of the key itself only a digest is stored. Times are 0 where there is none. */
export const apiKey = pawl.table(
  "api_key",
  {
    orgId: text("org_id").notNull(),
    keyId: text("key_id").notNull(),
    digest: text("digest").notNull(),
    name: text("name").notNull(),
    kind: text("kind").notNull(),
    scopes: text("scopes").notNull(),
    createdBy: text("created_by").notNull(),
    createdAt: int8("created_at").notNull(),
    expiresAt: int8("expires_at").notNull(),
    revokedAt: int8("revoked_at").notNull(),
    lastUsedAt: int8("last_used_at").notNull(),
    replacedBy: text("replaced_by").notNull(),
  },
  (t) => [primaryKey({ columns: [t.orgId, t.keyId] }), uniqueIndex("api_key_digest").on(t.digest)],
);

/** One row, whose number rises with every change of rights, so that servers know when to look again. */
export const authEpoch = pawl.table(
  "auth_epoch",
  { id: integer("id").notNull(), epoch: int8("epoch").notNull() },
  (t) => [primaryKey({ columns: [t.id] })],
);
