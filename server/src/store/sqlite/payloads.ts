import type { Tenant } from "../../model/caller.ts";
import type { PayloadBlob } from "../../model/payload.ts";
import type { Database } from "./database.ts";

/** Putting it again makes it young again, so that it is not swept before it is referred to. */
export const PUT_PAYLOAD = `INSERT INTO payload (org_id, sha256, put_at, size, data)
VALUES (?, ?, ?, ?, ?)
ON CONFLICT DO UPDATE SET put_at = max(put_at, excluded.put_at)`;

export const GET_PAYLOAD = `SELECT size, substr(data, ?, ?) AS piece
FROM payload WHERE org_id = ? AND sha256 = ?`;

export const SWEEP_PAYLOADS = `DELETE FROM payload WHERE rowid IN (
  SELECT p.rowid FROM payload AS p
  WHERE p.put_at < ? AND NOT EXISTS (
    SELECT 1 FROM payload_ref AS r WHERE r.org_id = p.org_id AND r.sha256 = p.sha256)
  ORDER BY p.put_at
  LIMIT ?)`;

export function storePayload(db: Database, org: string, blob: PayloadBlob, now: number): void {
  db.prepare(PUT_PAYLOAD).run(org, blob.sha256, now, blob.data.byteLength, blob.data);
}

export function putPayload(db: Database, { org }: Tenant, blob: PayloadBlob, now: number): void {
  storePayload(db, org, blob, now);
}

export function getPayload(
  db: Database,
  { org }: Tenant,
  sha256: string,
  offset: number,
  limit: number,
): { data: Uint8Array; size: number } | undefined {
  const row = db.prepare(GET_PAYLOAD).get(offset + 1, limit, org, sha256);
  if (row === undefined) return undefined;
  const data = row.piece instanceof Uint8Array ? row.piece : new Uint8Array(0);
  return { data, size: Number(row.size) };
}

export function sweepPayloads(db: Database, before: number, limit: number): number {
  return Number(db.prepare(SWEEP_PAYLOADS).run(before, limit).changes);
}
