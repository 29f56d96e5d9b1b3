/** A million runs that sleep, made inside PostgreSQL: through the engine it would take an hour. */
import pg from "pg";
import { checksum } from "../../../server/src/store/entry.ts";
import { openStore } from "../../../server/src/store/open.ts";
import { workflowName } from "./bench-runs.ts";

const key = "sleep:nap";
const runIds = "'sleeper-' || lpad(n::text, 8, '0')";

/** All due at one moment, in ms since the epoch. */
export async function makeSleepers(url: string, count: number, until: number): Promise<void> {
  await (await openStore(url, { migrate: true, onMessage: () => undefined })).close();
  const client = new pg.Client({ connectionString: url });
  await client.connect();
  try {
    await client.query("SET synchronous_commit = off");
    for (const statement of statements(count, until)) await client.query(statement);
    await client.query("CHECKPOINT");
  } finally {
    await client.end();
  }
}

function statements(count: number, until: number): string[] {
  const now = Date.now();
  const from = `FROM generate_series(1, ${count}) AS n`;
  const wait = { key, kind: "sleep", name: key, since: now, due: until };
  const waiting = JSON.stringify({ tree: { key }, waits: [wait] });
  const entry = (seq: number, type: string, of: string, meta: object): string => {
    const attempt = of === "" ? 0 : 1;
    const text = JSON.stringify(meta);
    const crc = checksum({
      type,
      key: of,
      attempt,
      meta: text,
      encoding: null,
      sha256: null,
      size: null,
      data: null,
    });
    return `INSERT INTO pawl.journal (org_id, run_id, seq, at, attempt, crc, type, step_key, meta)
SELECT 'default', ${runIds}, ${seq}, ${now}, ${attempt}, ${crc}, '${type}', '${of}', '${text}' ${from}`;
  };
  return [
    `INSERT INTO pawl.run (org_id, run_id, seq, updated_at, fence, status, reason, intent, attempt,
  crashes, priority, created_at, start_at, started_at, ended_at, workflow, version, queue,
  input_digest, parent_run_id, parent_key, options, tags, waiting)
SELECT 'default', ${runIds}, 3, ${now}, 2, 'WAITING', '', 'none', 1, 0, 5, ${now}, ${now}, ${now}, 0,
  '${workflowName}', '', 'default', '', '', '', '{}', '{}', '${waiting}' ${from}`,
    entry(1, "run.started", "", {}),
    entry(2, "workflow.wait.created", key, { kind: "sleep", until, fence: 1, worker: "w" }),
    entry(3, "workflow.waiting", "", { fence: 1, worker: "w" }),
    `INSERT INTO pawl.due (org_id, subject, kind, step_key, at, data)
SELECT 'default', 'run/' || ${runIds}, 'wait', '${key}', ${until}, '' ${from}`,
    `INSERT INTO pawl.wait (org_id, run_id, step_key, kind, workflow, since, until, data)
SELECT 'default', ${runIds}, '${key}', 'sleep', '${workflowName}', ${now}, ${until}, '{}' ${from}`,
  ];
}
