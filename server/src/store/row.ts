import type { Lease, RunHeader, RunNotes, RunOptions, RunState, Waiting } from "../model/run.ts";
import { RUN_STATES } from "../model/run.ts";
import type { DueItem, DueKind, LeasedRun, WorkerRow, WorkflowRow } from "./store.ts";
import { StoreError } from "./store.ts";

/** A row as either database answers it, by column name. */
export type Row = Readonly<Record<string, unknown>>;

export function text(row: Row, column: string): string {
  const value = row[column];
  if (typeof value === "string") return value;
  throw new StoreError(`Column ${column} holds ${typeof value}, not text.`);
}

export function int(row: Row, column: string): number {
  const value = row[column];
  if (typeof value === "number") return value;
  throw new StoreError(`Column ${column} holds ${typeof value}, not an integer.`);
}

/** The columns of a header in the order in which both stores write and read them. */
export const HEADER_COLUMNS = [
  "org_id",
  "run_id",
  "seq",
  "updated_at",
  "fence",
  "state",
  "reason",
  "intent",
  "attempt",
  "crashes",
  "priority",
  "created_at",
  "start_at",
  "started_at",
  "ended_at",
  "workflow",
  "version",
  "queue",
  "input_digest",
  "parent_run_id",
  "parent_key",
  "options",
  "tags",
  "waiting",
  "run_uid",
] as const;

/** The values of {@link HEADER_COLUMNS}. */
export function headerValues(
  header: RunHeader,
  seq: number,
  updatedAt: number,
): (string | number | null)[] {
  return [
    header.org,
    header.runId,
    seq,
    updatedAt,
    header.fence,
    header.state,
    header.reason,
    header.intent,
    header.attempt,
    header.crashes,
    header.priority,
    header.createdAt,
    header.startAt,
    header.startedAt,
    header.endedAt,
    header.workflow,
    header.version,
    header.queue,
    header.inputDigest,
    header.parentRunId,
    header.parentKey,
    JSON.stringify(header.options),
    JSON.stringify(header.tags),
    waitingText(header),
    header.runUid,
  ];
}

/** The column `waiting`: what a run waits for, and the notes on it. */
export function waitingText({
  waiting,
  notes,
}: Pick<RunHeader, "waiting" | "notes">): string | null {
  const isBare = Object.keys(notes).length === 0;
  if (isBare) return waiting === null ? null : JSON.stringify(waiting);
  return JSON.stringify({ ...waiting, notes });
}

function toWaiting(value: unknown): Pick<RunHeader, "waiting" | "notes"> {
  if (typeof value !== "string") return { waiting: null, notes: NO_NOTES };
  const { notes, ...waiting } = JSON.parse(value) as Partial<Waiting> & { notes?: RunNotes };
  const { tree, waits } = waiting;
  const isWaiting = tree !== undefined && waits !== undefined;
  return { waiting: isWaiting ? { tree, waits } : null, notes: notes ?? NO_NOTES };
}

const NO_NOTES: RunNotes = Object.freeze({});

/** From the header's columns and, where there is a lease, `session_id`, `worker_id`, `until`. */
export function toHeader(row: Row): RunHeader {
  return {
    org: text(row, "org_id"),
    runId: text(row, "run_id"),
    runUid: text(row, "run_uid"),
    workflow: text(row, "workflow"),
    version: text(row, "version"),
    queue: text(row, "queue"),
    priority: int(row, "priority"),
    state: toState(text(row, "state")),
    reason: text(row, "reason") as RunHeader["reason"],
    intent: text(row, "intent") as RunHeader["intent"],
    fence: int(row, "fence"),
    seq: int(row, "seq"),
    attempt: int(row, "attempt"),
    crashes: int(row, "crashes"),
    inputDigest: text(row, "input_digest"),
    parentRunId: text(row, "parent_run_id"),
    parentKey: text(row, "parent_key"),
    createdAt: int(row, "created_at"),
    startAt: int(row, "start_at"),
    startedAt: int(row, "started_at"),
    updatedAt: int(row, "updated_at"),
    endedAt: int(row, "ended_at"),
    options: JSON.parse(text(row, "options")) as RunOptions,
    tags: JSON.parse(text(row, "tags")) as Record<string, string>,
    ...toWaiting(row.waiting),
    lease: typeof row.session_id === "string" ? toLease(row) : null,
  };
}

function toState(value: string): RunState {
  const state = RUN_STATES.find((known) => known === value);
  if (state === undefined) throw new StoreError(`A run is in the unknown state ${value}.`);
  return state;
}

export function toLease(row: Row): Lease {
  return {
    sessionId: text(row, "session_id"),
    workerId: text(row, "worker_id"),
    until: int(row, "until"),
  };
}

export function toLeasedRun(row: Row): LeasedRun {
  return {
    org: text(row, "org_id"),
    runId: text(row, "run_id"),
    fence: int(row, "fence"),
    lease: toLease(row),
  };
}

export function toDueItem(row: Row): DueItem {
  return {
    org: text(row, "org_id"),
    runId: text(row, "run_id"),
    kind: text(row, "kind") as DueKind,
    key: text(row, "step_key"),
    at: int(row, "at"),
    data: text(row, "data"),
    ...(typeof row.held_until === "number" ? { heldUntil: row.held_until } : {}),
  };
}

export function toWorkflow(row: Row): WorkflowRow {
  return {
    name: text(row, "name"),
    version: text(row, "version"),
    description: text(row, "description"),
    inputSchema: text(row, "input_schema"),
    outputSchema: text(row, "output_schema"),
    metadata: text(row, "metadata"),
    flow: text(row, "flow"),
    timeouts: text(row, "timeouts"),
    versions: JSON.parse(text(row, "versions")) as string[],
    registeredAt: int(row, "registered_at"),
  };
}

export function toWorker(row: Row): WorkerRow {
  return {
    workerId: text(row, "worker_id"),
    instanceId: text(row, "instance_id"),
    connected: int(row, "connected") === 1,
    seenAt: int(row, "seen_at"),
    info: text(row, "info"),
  };
}

/** The versions ever registered, the latest registration last. */
export function mergeVersions(before: readonly string[], spec: WorkflowRow): string[] {
  const all = new Set([...before, ...spec.versions]);
  all.delete(spec.version);
  return [...all, spec.version];
}

/**
 * The tables of what belongs to a run, apart from its row; they go with it. Due work of its
 * children's ends is among it. A run that is deleted has ended, so it stands before no gate, and what
 * it has of permits ends by itself.
 */
export const RUN_PARTS = [
  "journal",
  "ready",
  "due",
  "lease",
  "payload_ref",
  "run_tag",
  "nudge",
  "wait",
  "wait_assignee",
  "delta",
] as const;
