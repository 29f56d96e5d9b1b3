import { DatabaseSync } from "node:sqlite";
import type { PipeStore } from "./store.ts";

/** SQLite on the thread that calls it: WAL, an fsync at every commit. */
export function openSqlite(path: string): PipeStore {
  const db = new DatabaseSync(path);
  db.exec(`
    PRAGMA locking_mode = EXCLUSIVE;
    PRAGMA journal_mode = WAL;
    PRAGMA synchronous = FULL;
    PRAGMA wal_autocheckpoint = 4000;
    CREATE TABLE run (
      org_id TEXT NOT NULL, run_id TEXT NOT NULL, seq INTEGER NOT NULL, fence INTEGER NOT NULL,
      updated_at INTEGER NOT NULL, PRIMARY KEY (org_id, run_id)
    );
    CREATE TABLE journal (
      org_id TEXT NOT NULL, run_id TEXT NOT NULL, seq INTEGER NOT NULL, at INTEGER NOT NULL,
      attempt INTEGER NOT NULL, type TEXT NOT NULL, step_key TEXT NOT NULL,
      encoding TEXT NOT NULL, payload BLOB NOT NULL, PRIMARY KEY (org_id, run_id, seq)
    );`);
  const insertRun = db.prepare("INSERT INTO run VALUES ('default', ?, 0, 1, 0)");
  const begin = db.prepare("BEGIN IMMEDIATE");
  const advance = db.prepare(
    `UPDATE run SET seq = ?, updated_at = ?
    WHERE org_id = 'default' AND run_id = ? AND fence = ? AND seq = ?`,
  );
  const insert = db.prepare("INSERT INTO journal VALUES ('default', ?, ?, ?, ?, ?, ?, ?, ?)");
  const commit = db.prepare("COMMIT");
  return {
    async createRuns(runIds) {
      begin.run();
      for (const runId of runIds) insertRun.run(runId);
      commit.run();
    },
    commit(steps) {
      const now = Date.now();
      begin.run();
      const written = steps.map((s) => {
        const { changes } = advance.run(s.seq, now, s.runId, s.fence, s.seq - 1);
        if (changes !== 1) return false;
        insert.run(s.runId, s.seq, now, s.attempt, s.type, s.stepKey, s.encoding, s.payload);
        return true;
      });
      commit.run();
      return written;
    },
    async close() {
      db.close();
    },
  };
}
