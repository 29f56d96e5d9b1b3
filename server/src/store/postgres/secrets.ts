import type { Tenant } from "../../model/caller.ts";
import { text } from "../row.ts";
import type { Connection } from "./connection.ts";

const PUT_SECRET = `INSERT INTO pawl.secret (org_id, name, value) VALUES ($1, $2, $3)
ON CONFLICT DO NOTHING`;
const GET_SECRET = "SELECT value FROM pawl.secret WHERE org_id = $1 AND name = $2";

export async function secret(
  db: Connection,
  { org }: Tenant,
  name: string,
  candidate: string | undefined,
): Promise<string | undefined> {
  if (candidate !== undefined) await db.one({ text: PUT_SECRET, values: [org, name, candidate] });
  const [row] = await db.one({ text: GET_SECRET, values: [org, name] });
  return row === undefined ? undefined : text(row, "value");
}
