import type { Tenant } from "../../model/caller.ts";
import { listWaitsStatement } from "../list-waits.ts";
import { text } from "../row.ts";
import type { WaitFilter, WaitPage } from "../waits.ts";
import { toListedWait } from "../waits.ts";
import type { Connection } from "./connection.ts";
import { DIALECT, numbered } from "./runs.ts";

const PUT_SECRET = `INSERT INTO pawl.secret (org_id, name, value) VALUES ($1, $2, $3)
ON CONFLICT DO NOTHING`;
const GET_SECRET = "SELECT value FROM pawl.secret WHERE org_id = $1 AND name = $2";

export async function listWaits(
  db: Connection,
  { org }: Tenant,
  filter: WaitFilter,
): Promise<WaitPage> {
  const { sql, values } = listWaitsStatement(DIALECT, org, filter);
  const rows = await db.one({ text: numbered(sql), values });
  const waits = rows.slice(0, filter.limit).map(toListedWait);
  return { waits, more: rows.length > filter.limit };
}

/** Of servers that come at once, one inserts; the others wait for it and read its row. */
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
