import type { ApiKey } from "../../model/api-key.ts";
import type { Tenant } from "../../model/caller.ts";
import type { AccessState, KeyUse, OwnedKey, Replaced } from "../keys.ts";
import { int, KEY_COLUMNS, keyValues, text, toKey } from "../row.ts";
import type { Connection } from "./connection.ts";

const ACCESS_STATE = `SELECT coalesce((SELECT epoch FROM pawl.auth_epoch WHERE id = 1), 0) AS epoch,
  (EXISTS (SELECT 1 FROM pawl.api_key WHERE kind = 'operator'))::int AS has_operator`;
/** Follows a statement with the relation `changed`; what changed nothing raises nothing. */
const RAISE_EPOCH = `raised AS (
  INSERT INTO pawl.auth_epoch (id, epoch) SELECT 1, 1 FROM changed LIMIT 1
  ON CONFLICT (id) DO UPDATE SET epoch = auth_epoch.epoch + 1)`;
const FIND_KEY = `SELECT org_id, ${KEY_COLUMNS} FROM pawl.api_key WHERE digest = $1`;
const LIST_KEYS = `SELECT ${KEY_COLUMNS} FROM pawl.api_key
WHERE org_id = $1 ORDER BY created_at DESC, key_id`;
/** $13: the id of the key that is replaced, or empty; $14: until when that may still be used. */
const PUT_KEY = `WITH free AS (
  SELECT 1 WHERE NOT EXISTS (SELECT 1 FROM pawl.api_key WHERE org_id = $1 AND name = $4
    AND key_id <> $13 AND revoked_at = 0 AND replaced_by = ''
    AND (expires_at = 0 OR expires_at > $8::bigint))),
replaced AS (
  UPDATE pawl.api_key SET replaced_by = $2,
    expires_at = CASE WHEN expires_at BETWEEN 1 AND $14::bigint THEN expires_at ELSE $14::bigint END
  WHERE org_id = $1 AND key_id = $13 AND revoked_at = 0 AND replaced_by = '' AND EXISTS (TABLE free)
  RETURNING 1),
changed AS (
  INSERT INTO pawl.api_key (org_id, ${KEY_COLUMNS})
  SELECT $1, $2, $3, $4, $5, $6, $7, $8::bigint, $9::bigint, $10::bigint, $11::bigint, $12
  FROM free WHERE $13 = '' OR EXISTS (TABLE replaced)
  RETURNING 1),
${RAISE_EPOCH}
SELECT count(*)::int AS changed FROM changed`;
const REVOKE_KEY = `WITH changed AS (
  UPDATE pawl.api_key SET revoked_at = $3::bigint
  WHERE org_id = $1 AND key_id = $2 AND revoked_at = 0 RETURNING 1),
${RAISE_EPOCH}
SELECT count(*)::int AS changed FROM changed`;
const TOUCH_KEYS = `UPDATE pawl.api_key AS k SET last_used_at = greatest(last_used_at, u.at)
FROM unnest($1::text[], $2::text[], $3::bigint[]) AS u (org_id, key_id, at)
WHERE k.org_id = u.org_id AND k.key_id = u.key_id`;

export async function accessState(db: Connection): Promise<AccessState> {
  const [row = {}] = await db.one({ name: "access state", text: ACCESS_STATE });
  return { epoch: int(row, "epoch"), hasOperator: int(row, "has_operator") === 1 };
}

export async function findKey(db: Connection, digest: string): Promise<OwnedKey | undefined> {
  const [row] = await db.one({ name: "find key", text: FIND_KEY, values: [digest] });
  return row === undefined ? undefined : { org: text(row, "org_id"), ...toKey(row) };
}

export async function listKeys(db: Connection, { org }: Tenant): Promise<ApiKey[]> {
  return (await db.one({ text: LIST_KEYS, values: [org] })).map(toKey);
}

export async function putKey(
  db: Connection,
  { org }: Tenant,
  key: ApiKey,
  replaces: Replaced | undefined,
): Promise<boolean> {
  const values = [org, ...keyValues(key), replaces?.keyId ?? "", replaces?.until ?? 0];
  return changed(await db.one({ text: PUT_KEY, values }));
}

export async function revokeKey(
  db: Connection,
  { org }: Tenant,
  keyId: string,
  at: number,
): Promise<boolean> {
  return changed(await db.one({ text: REVOKE_KEY, values: [org, keyId, at] }));
}

export async function touchKeys(db: Connection, uses: readonly KeyUse[]): Promise<void> {
  const values = [uses.map((u) => u.org), uses.map((u) => u.keyId), uses.map((u) => u.at)];
  await db.one({ text: TOUCH_KEYS, values });
}

function changed([row = {}]: readonly Readonly<Record<string, unknown>>[]): boolean {
  return int(row, "changed") > 0;
}
