import type { Tenant } from "../../model/caller.ts";
import { text } from "../row.ts";
import type { Database } from "./database.ts";

export const PUT_SECRET = `INSERT INTO secret (org_id, name, value) VALUES (?, ?, ?)
ON CONFLICT DO NOTHING`;
export const GET_SECRET = "SELECT value FROM secret WHERE org_id = ? AND name = ?";

export function secret(
  db: Database,
  { org }: Tenant,
  name: string,
  candidate: string | undefined,
): string | undefined {
  if (candidate !== undefined) db.prepare(PUT_SECRET).run(org, name, candidate);
  const row = db.prepare(GET_SECRET).get(org, name);
  return row === undefined ? undefined : text(row, "value");
}
