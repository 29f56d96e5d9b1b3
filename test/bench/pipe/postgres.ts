import pg from "pg";
import type { PipeStore } from "./store.ts";

/**
 * A whole batch in one statement, which is a transaction by itself: one round trip, one wait for
 * the disk. The plan is pinned, since it must not depend on how large the tables were at first.
 */
const COMMIT = `
WITH step AS (
  SELECT * FROM unnest($1::text[], $2::int[], $3::int[], $4::int[], $5::text[], $6::text[],
    $7::text[], $8::bytea[])
  AS s (run_id, fence, seq, attempt, type, step_key, encoding, payload)
), confirmed AS (
  UPDATE run SET seq = step.seq, updated_at = $9
  FROM step
  WHERE run.org_id = 'default' AND run.run_id = step.run_id AND run.fence = step.fence
    AND run.seq = step.seq - 1
  RETURNING run.run_id
), entry AS (
  INSERT INTO journal (org_id, run_id, seq, at, attempt, type, step_key, encoding, payload)
  SELECT 'default', run_id, seq, $9, attempt, type, step_key, encoding, payload
  FROM step JOIN confirmed USING (run_id)
)
SELECT run_id FROM confirmed`;

/** PostgreSQL through one connection, synchronous commit. */
export async function openPostgres(url: string): Promise<PipeStore> {
  const client = new pg.Client({
    connectionString: url,
    options: "-c enable_seqscan=off -c plan_cache_mode=force_generic_plan",
  });
  await client.connect();
  await client.query(`
    CREATE TABLE run (
      org_id text NOT NULL, run_id text NOT NULL, seq int NOT NULL, fence int NOT NULL,
      updated_at bigint NOT NULL, PRIMARY KEY (org_id, run_id)
    ) WITH (fillfactor = 70);
    CREATE TABLE journal (
      org_id text NOT NULL, run_id text NOT NULL, seq int NOT NULL, at bigint NOT NULL,
      attempt int NOT NULL, type text NOT NULL, step_key text NOT NULL, encoding text NOT NULL,
      payload bytea NOT NULL, PRIMARY KEY (org_id, run_id, seq)
    );`);
  return {
    async createRuns(runIds) {
      await client.query(
        "INSERT INTO run SELECT 'default', id, 0, 1, 0 FROM unnest($1::text[]) id",
        [[...runIds]],
      );
    },
    async commit(steps) {
      const { rows } = await client.query<{ run_id: string }>({
        name: "commit",
        text: COMMIT,
        values: [
          steps.map((s) => s.runId),
          steps.map((s) => s.fence),
          steps.map((s) => s.seq),
          steps.map((s) => s.attempt),
          steps.map((s) => s.type),
          steps.map((s) => s.stepKey),
          steps.map((s) => s.encoding),
          steps.map((s) => Buffer.from(s.payload.buffer, s.payload.byteOffset, s.payload.length)),
          Date.now(),
        ],
      });
      const written = new Set(rows.map((row) => row.run_id));
      return steps.map((s) => written.has(s.runId));
    },
    async close() {
      await client.end();
    },
  };
}
