import type { ApiKey } from "../../model/api-key.ts";
import type { Tenant } from "../../model/caller.ts";
import type { AccessState, KeyUse, OwnedKey, Replaced } from "../keys.ts";
import { int, KEY_COLUMNS, keyValues, text, toKey } from "../row.ts";
import type { Database } from "./database.ts";

const ACCESS_STATE = `SELECT coalesce((SELECT epoch FROM auth_epoch WHERE id = 1), 0) AS epoch,
  EXISTS (SELECT 1 FROM api_key WHERE kind = 'operator') AS has_operator`;
const RAISE_EPOCH = `INSERT INTO auth_epoch (id, epoch) VALUES (1, 1)
ON CONFLICT (id) DO UPDATE SET epoch = epoch + 1`;
const FIND_KEY = `SELECT org_id, ${KEY_COLUMNS} FROM api_key WHERE digest = ?`;
const LIST_KEYS = `SELECT ${KEY_COLUMNS} FROM api_key
WHERE org_id = ? ORDER BY created_at DESC, key_id`;
const NAME_TAKEN = `SELECT 1 FROM api_key WHERE org_id = ? AND name = ? AND key_id <> ?
  AND revoked_at = 0 AND replaced_by = '' AND (expires_at = 0 OR expires_at > ?)`;
const PUT_KEY = `INSERT INTO api_key (org_id, ${KEY_COLUMNS})
VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)`;
/** A key that ends sooner by itself is not made to last longer. */
const REPLACE_KEY = `UPDATE api_key SET replaced_by = ?1,
  expires_at = CASE WHEN expires_at BETWEEN 1 AND ?2 THEN expires_at ELSE ?2 END
WHERE org_id = ?3 AND key_id = ?4 AND revoked_at = 0 AND replaced_by = ''`;
const REVOKE_KEY = `UPDATE api_key SET revoked_at = ?
WHERE org_id = ? AND key_id = ? AND revoked_at = 0`;
const TOUCH_KEY = `UPDATE api_key SET last_used_at = max(last_used_at, ?)
WHERE org_id = ? AND key_id = ?`;

export function accessState(db: Database): AccessState {
  const row = db.prepare(ACCESS_STATE).get() ?? {};
  return { epoch: int(row, "epoch"), hasOperator: int(row, "has_operator") === 1 };
}

export function findKey(db: Database, digest: string): OwnedKey | undefined {
  const row = db.prepare(FIND_KEY).get(digest);
  return row === undefined ? undefined : { org: text(row, "org_id"), ...toKey(row) };
}

export function listKeys(db: Database, { org }: Tenant): ApiKey[] {
  return db.prepare(LIST_KEYS).all(org).map(toKey);
}

export function putKey(
  db: Database,
  { org }: Tenant,
  key: ApiKey,
  replaces: Replaced | undefined,
): boolean {
  return db.transaction(() => {
    const { name, keyId, createdAt } = key;
    const old = replaces?.keyId ?? "";
    if (db.prepare(NAME_TAKEN).get(org, name, old, createdAt) !== undefined) return false;
    if (replaces !== undefined) {
      const replaced = db.prepare(REPLACE_KEY).run(keyId, replaces.until, org, old);
      if (replaced.changes === 0) return false;
    }
    db.prepare(PUT_KEY).run(org, ...keyValues(key));
    db.prepare(RAISE_EPOCH).run();
    return true;
  });
}

export function revokeKey(db: Database, { org }: Tenant, keyId: string, at: number): boolean {
  return db.transaction(() => {
    if (db.prepare(REVOKE_KEY).run(at, org, keyId).changes === 0) return false;
    db.prepare(RAISE_EPOCH).run();
    return true;
  });
}

export function touchKeys(db: Database, uses: readonly KeyUse[]): void {
  db.transaction(() => {
    for (const { org, keyId, at } of uses) db.prepare(TOUCH_KEY).run(at, org, keyId);
  });
}
