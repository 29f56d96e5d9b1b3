import type { Tenant } from "../../model/caller.ts";
import { listWaitsStatement } from "../list-waits.ts";
import type { WaitFilter, WaitPage } from "../waits.ts";
import { toListedWait } from "../waits.ts";
import type { Database } from "./database.ts";
import { DIALECT } from "./runs.ts";

export function listWaits(db: Database, { org }: Tenant, filter: WaitFilter): WaitPage {
  const { sql, values } = listWaitsStatement(DIALECT, org, filter);
  const rows = db.prepareOnce(sql).all(...values);
  const waits = rows.slice(0, filter.limit).map(toListedWait);
  return { waits, more: rows.length > filter.limit };
}
