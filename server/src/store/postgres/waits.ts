import type { Tenant } from "../../model/caller.ts";
import { listWaitsStatement } from "../list-waits.ts";
import type { WaitFilter, WaitPage } from "../waits.ts";
import { toListedWait } from "../waits.ts";
import type { Connection } from "./connection.ts";
import { DIALECT, numbered } from "./runs.ts";

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

/** If servers come at the same time, one inserts; the others wait for it and read its row. */
