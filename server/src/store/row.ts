import type { ApiKey } from "../model/api-key.ts";
import { parseSubject } from "../model/ids.ts";
import type { Lease } from "../model/run.ts";
import type { DueItem, DueKind } from "./due.ts";
import type { LeasedRun } from "./leases.ts";
import type { WorkerRow } from "./registry.ts";
import type { EndedRun } from "./retention.ts";
import { StoreError } from "./store-error.ts";

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

export function toLease(row: Row): Lease {
  return {
    connectionId: text(row, "connection_id"),
    workerId: text(row, "worker_id"),
    until: int(row, "until"),
  };
}

export function toEndedRun(row: Row): EndedRun {
  return {
    org: text(row, "org_id"),
    endedAt: int(row, "ended_at"),
    runId: text(row, "run_id"),
    seq: int(row, "seq"),
    isNeeded: int(row, "is_needed") === 1,
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
    subject: parseSubject(text(row, "subject")),
    kind: text(row, "kind") as DueKind,
    key: text(row, "step_key"),
    at: int(row, "at"),
    data: text(row, "data"),
    ...(typeof row.held_until === "number" ? { heldUntil: row.held_until } : {}),
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

/** The columns of a key in the order of {@link keyValues}. */
export const KEY_COLUMNS =
  "key_id, digest, name, kind, scopes, created_by, created_at, expires_at, revoked_at, last_used_at, replaced_by";

export function keyValues(key: ApiKey): (string | number)[] {
  return [
    key.keyId,
    key.digest,
    key.name,
    key.kind,
    key.scopes.join(" "),
    key.createdBy,
    key.createdAt,
    key.expiresAt,
    key.revokedAt,
    key.lastUsedAt,
    key.replacedBy,
  ];
}

export function toKey(row: Row): ApiKey {
  const scopes = text(row, "scopes");
  return {
    keyId: text(row, "key_id"),
    digest: text(row, "digest"),
    name: text(row, "name"),
    kind: text(row, "kind") === "operator" ? "operator" : "service",
    scopes: scopes === "" ? [] : scopes.split(" "),
    createdBy: text(row, "created_by"),
    createdAt: int(row, "created_at"),
    expiresAt: int(row, "expires_at"),
    revokedAt: int(row, "revoked_at"),
    lastUsedAt: int(row, "last_used_at"),
    replacedBy: text(row, "replaced_by"),
  };
}
