import { int, text } from "../row.ts";
import type { ReadyQueue } from "../runs.ts";
import type { Database } from "./database.ts";

export const READY_QUEUES = `SELECT queue, count(*) AS runs, min(ready_at) AS oldest_at
FROM (SELECT queue, ready_at FROM ready LIMIT ?) GROUP BY queue ORDER BY queue`;

export function readReadyQueues(db: Database, rowsMax: number): ReadyQueue[] {
  return db
    .prepare(READY_QUEUES)
    .all(rowsMax)
    .map((row) => ({
      queue: text(row, "queue"),
      runs: int(row, "runs"),
      oldestAt: int(row, "oldest_at"),
    }));
}
