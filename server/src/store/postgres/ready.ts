import { int, text } from "../row.ts";
import type { ReadyQueue } from "../runs.ts";
import type { Connection } from "./connection.ts";

export const READY_QUEUES = `SELECT queue, count(*) AS runs, min(ready_at) AS oldest_at
FROM (SELECT queue, ready_at FROM pawl.ready LIMIT $1) AS looked_at GROUP BY queue ORDER BY queue`;

export async function readReadyQueues(db: Connection, rowsMax: number): Promise<ReadyQueue[]> {
  const rows = await db.one({ text: READY_QUEUES, values: [rowsMax] });
  return rows.map((row) => ({
    queue: text(row, "queue"),
    runs: int(row, "runs"),
    oldestAt: int(row, "oldest_at"),
  }));
}
