import type { Tenant } from "../../model/caller.ts";
import type { PayloadBlob } from "../../model/payload.ts";
import { int } from "../row.ts";
import type { Connection } from "./connection.ts";

export const PUT_PAYLOAD = `INSERT INTO pawl.payload AS p (org_id, sha256, put_at, size, data)
VALUES ($1, $2, $3, $4, $5)
ON CONFLICT (org_id, sha256) DO UPDATE SET put_at = greatest(p.put_at, excluded.put_at)`;

export const GET_PAYLOAD = `SELECT size, substr(data, $3::int4, $4::int4) AS piece
FROM pawl.payload WHERE org_id = $1 AND sha256 = $2`;

/**
 * Locks what may be swept, and hands its keys to the next statement of the transaction: that one
 * sees the references of every transaction that held such a row before, and must touch no row
 * besides these, since it could not tell whether one came to be referred to while it looked.
 */
export const LOCK_SWEEPABLE = `SELECT set_config('pawl.sweepable', coalesce(jsonb_agg(o)::text, '[]'), true)
FROM (
  SELECT p.org_id, p.sha256 FROM pawl.payload AS p
  WHERE p.put_at < $1 AND NOT EXISTS (
    SELECT FROM pawl.payload_ref AS r WHERE r.org_id = p.org_id AND r.sha256 = p.sha256)
  ORDER BY p.put_at, p.org_id, p.sha256 LIMIT $2
  FOR UPDATE SKIP LOCKED) AS o`;
export const SWEEP = `WITH swept AS (
  DELETE FROM pawl.payload AS p
  USING jsonb_to_recordset(current_setting('pawl.sweepable')::jsonb) AS o (org_id text, sha256 text)
  WHERE p.org_id = o.org_id AND p.sha256 = o.sha256 AND NOT EXISTS (
    SELECT FROM pawl.payload_ref AS r WHERE r.org_id = p.org_id AND r.sha256 = p.sha256)
  RETURNING p.sha256)
SELECT count(*) AS n FROM swept`;

export async function putPayload(
  db: Connection,
  { org }: Tenant,
  { sha256, data }: PayloadBlob,
  now: number,
): Promise<void> {
  const bytes = Buffer.from(data.buffer, data.byteOffset, data.byteLength);
  const values = [org, sha256, now, data.byteLength, bytes];
  await db.one({ name: "put payload", text: PUT_PAYLOAD, values });
}

export async function getPayload(
  db: Connection,
  { org }: Tenant,
  sha256: string,
  offset: number,
  limit: number,
): Promise<{ data: Uint8Array; size: number } | undefined> {
  const values = [org, sha256, offset + 1, limit];
  const [row] = await db.one({ name: "get payload", text: GET_PAYLOAD, values });
  if (row === undefined) return undefined;
  const data = row.piece instanceof Uint8Array ? row.piece : new Uint8Array(0);
  return { data, size: int(row, "size") };
}

export async function sweepPayloads(
  db: Connection,
  before: number,
  limit: number,
): Promise<number> {
  const [, , rows] = await db.run([
    { text: "BEGIN" },
    { name: "lock sweepable", text: LOCK_SWEEPABLE, values: [before, limit] },
    { name: "sweep", text: SWEEP, values: [] },
    { text: "COMMIT" },
  ]);
  const [row] = rows ?? [];
  return row === undefined ? 0 : int(row, "n");
}
