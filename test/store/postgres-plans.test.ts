/**
 * Hot statements on PostgreSQL do not depend on statistics. Goal: a database that was empty when
 * they were prepared, and was never analyzed, is as quick with 200,000 runs. Method: plans are read
 * with EXPLAIN as the store's own sessions make them, and rows that were looked at are counted.
 */
import pg from "pg";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { listWaitsStatement } from "../../server/src/store/list-waits.ts";
import { openStore } from "../../server/src/store/open.ts";
import * as admit from "../../server/src/store/postgres/admit.ts";
import { CLAIM } from "../../server/src/store/postgres/claim.ts";
import { INPUT_NAMES, statementFor } from "../../server/src/store/postgres/commit.ts";
import * as due from "../../server/src/store/postgres/due.ts";
import * as journal from "../../server/src/store/postgres/journal.ts";
import * as leases from "../../server/src/store/postgres/leases.ts";
import { DIALECT, numbered } from "../../server/src/store/postgres/runs.ts";
import { HOT_SESSION } from "../../server/src/store/postgres/sessions.ts";
import type { Store } from "../../server/src/store/store.ts";
import type { WaitFilter } from "../../server/src/store/waits.ts";
import { createDatabase } from "../harness/database.ts";
import { patienceMs } from "../harness/patience.ts";
import {
  change,
  claim,
  commit,
  insertion,
  makeClaim,
  makeHeader,
  ORG,
  readyRow,
  T0,
} from "./make.ts";

const ROWS = 200_000;

let url = "";
let store: Store;
let client: pg.Client;

beforeAll(async () => {
  url = await createDatabase("plans");
  store = await openStore(url);
  client = new pg.Client({ connectionString: url });
  await client.connect();
  for (const table of ["run", "journal", "ready", "due", "lease", "wait", "wait_assignee"]) {
    await client.query(`ALTER TABLE pawl.${table} SET (autovacuum_enabled = false)`);
  }
  // Every statement is prepared while there is next to nothing; and that is all that is known.
  await work("early", 2);
  await client.query("VACUUM ANALYZE pawl.run, pawl.journal, pawl.ready, pawl.due, pawl.lease");
  await work("small", 2);
  await grow();
}, 5 * patienceMs);

afterAll(async () => {
  await client.end();
  await store.close();
});

/** Starts runs, writes to them, claims them, reads them: 64 at a time. */
async function work(prefix: string, rounds: number): Promise<void> {
  for (let round = 0; round < rounds; round += 1) {
    const ids = Array.from({ length: 64 }, (_, i) => `${prefix}-${round}-${i}`);
    await commit(
      store,
      ...ids.map((id, i) => {
        const duePut = [{ kind: "queue", key: "", at: T0 + 9, data: "" }] as const;
        // The same lane as the many, ahead of them.
        return insertion(makeHeader(id), { ready: readyRow(T0 + i, { rank: 0 }), duePut });
      }),
    );
    const claimed = await claim(store, makeClaim(64, { until: 1 }));
    expect(claimed).toHaveLength(64);
    const { confirmed } = await commit(store, ...ids.map((id) => change(id, 1, 1)));
    expect(confirmed).not.toContain(false);
    await store.loadRuns(ids.map((runId) => ({ org: ORG, runId, afterSeq: 0 })));
    await commit(store, ...ids.map((id) => change(id, 1, 2, { lease: "remove", dueClear: true })));
  }
}

async function grow(): Promise<void> {
  const id = "'run-' || lpad(i::text, 8, '0')";
  const series = `generate_series(1, ${ROWS}) AS i`;
  await client.query(`
    INSERT INTO pawl.run (org_id, run_id, seq, updated_at, fence, status, reason, intent, attempt,
      crashes, priority, created_at, start_at, started_at, ended_at, workflow, version, queue,
      input_digest, parent_run_id, parent_key, options, tags)
    SELECT 'default', ${id}, 1, i, 0, 'QUEUED', '', 'none', 0, 0, 5, i, i, 0, 0, 'digest', '',
      'default', '', '', '', '{}', '{}' FROM ${series};
    INSERT INTO pawl.ready SELECT 'default', ${id}, 'default', 'digest', 4, i FROM ${series};
    INSERT INTO pawl.due SELECT 'default', 'run/' || ${id}, 'run', '', ${T0} + i, '' FROM ${series};
    INSERT INTO pawl.journal (org_id, run_id, seq, at, attempt, crc, type, step_key, meta)
    SELECT 'default', ${id}, 1, i, 0, 0, 'run.started', '', '{}' FROM ${series};
    INSERT INTO pawl.wait
    SELECT 'default', ${id}, 'sleep:s', 'sleep', 'digest', i, ${T0}, '{}' FROM ${series};
    INSERT INTO pawl.lease SELECT 'default', ${id}, 'session ' || i % 100, 'w', i FROM ${series}`);
}

/** Rows that were looked at so far in the large tables, found or not. */
async function rowsRead(): Promise<number> {
  const { rows } = await client.query<{ n: string }>(`
    SELECT (SELECT sum(seq_tup_read) FROM pg_stat_user_tables WHERE schemaname = 'pawl')
      + (SELECT sum(idx_tup_read) FROM pg_stat_user_indexes WHERE schemaname = 'pawl') AS n`);
  return Number(rows[0]?.n);
}

test("a store that was opened on the empty database looks at few rows", async () => {
  // Plans are dropped at the first commits after so much growth, at the latest after 2 s.
  await new Promise((resolve) => setTimeout(resolve, 2_100));
  await work("settle", 1);
  // Statistics of other sessions appear when those have been idle for a while.
  await new Promise((resolve) => setTimeout(resolve, 1_500));
  await work("settled", 1);
  await new Promise((resolve) => setTimeout(resolve, 1_500));
  const before = await rowsRead();
  const rounds = 5;
  await work("late", rounds);
  await new Promise((resolve) => setTimeout(resolve, 1_500));
  await work("flush", 1);
  await new Promise((resolve) => setTimeout(resolve, 1_500));
  const read = (await rowsRead()) - before;
  // Some 20 look-ups for each run of a round; a scan of one table alone would be 200,000.
  expect(read).toBeGreaterThan(64 * rounds);
  expect(read).toBeLessThan(64 * (rounds + 1) * 60);
});

describe("plans, made anew without statistics", () => {
  const hot: [string, string][] = [
    ["steps", statementFor(["advance", "entry"]).text],
    ["everything", statementFor([...INPUT_NAMES]).text],
    ["claim", CLAIM],
    ...Object.entries(journal).filter((e): e is [string, string] => typeof e[1] === "string"),
    ["DUE_GATES", admit.DUE_GATES],
    ["PASS", admit.PASS],
    ["REST", admit.REST],
    ["EXPIRE", admit.EXPIRE],
    ["READ_DUE", due.READ_DUE],
    ["TAKE_DUE", due.TAKE_DUE],
    ["NEXT_DUE", due.NEXT_DUE],
    ["DROP_ORPHANS", due.DROP_ORPHANS],
    ["RENEW_SESSION", leases.RENEW_SESSION],
    ["RENEW_LEASES", leases.RENEW_LEASES],
    ["LIST_LEASES", leases.LIST_LEASES],
  ];

  test.each(hot)("%s", async (_, sql) => {
    for (const [name, value] of Object.entries(HOT_SESSION)) {
      await client.query(`SET ${name} = '${value}'`);
    }
    const parameters = Math.max(...[...sql.matchAll(/\$(\d+)/g)].map(([, n]) => Number(n)));
    await client.query(`PREPARE hot AS ${sql}`);
    const nulls = Array.from({ length: parameters }, () => "NULL").join(", ");
    const { rows } = await client.query<{ "QUERY PLAN": object[] }>(
      `EXPLAIN (FORMAT JSON) EXECUTE hot(${nulls})`,
    );
    await client.query("DEALLOCATE hot");
    const scans = findScans(rows[0]?.["QUERY PLAN"] ?? []);
    expect(scans.length).toBeGreaterThan(0);
    for (const { type, table, index, condition } of scans) {
      // A row that was found is taken by its place.
      if (type === "Tid Scan") continue;
      expect(type, `${table} is read whole`).toMatch(/^Index/);
      // By the organization alone, an index finds everything; but the next one is one row.
      const isKey = /org_id > |run_id|subject|sha256|queue|connection_id|gate|wake_at|\bat\b/.test(
        condition,
      );
      expect(isKey, `${table} by ${index}: ${condition}`).toBe(true);
      // That index can find one run only by going through its whole lane.
      if (condition.includes("run_id")) expect(index).not.toBe("ready_order");
    }
  });
});

const waitLists: [string, Partial<WaitFilter>][] = [
  ["all kinds", {}],
  ["questions among very many timers", { kinds: ["user"] }],
  ["a workflow", { workflow: "digest" }],
  ["a run", { runId: "run-00000001" }],
  ["assignees", { assignees: ["al", ""] }],
];
test.each(waitLists)("a list of waits by %s reads no table whole", async (_, with_) => {
  for (const after of [undefined, { since: 9, runId: "r", key: "k" }]) {
    const filter = { kinds: ["sleep", "user"], limit: 50, ...with_, ...(after && { after }) };
    const { sql, values } = listWaitsStatement(DIALECT, ORG, filter);
    for (const [name, value] of Object.entries(HOT_SESSION)) {
      await client.query(`SET ${name} = '${value}'`);
    }
    const { rows } = await client.query<{ "QUERY PLAN": object[] }>(
      `EXPLAIN (FORMAT JSON) ${numbered(sql)}`,
      values,
    );
    const scans = findScans(rows[0]?.["QUERY PLAN"] ?? []);
    const whole = scans.filter(({ type, table }) => table === "wait" && !type.includes("Index"));
    expect(whole).toEqual([]);
  }
});

interface Scan {
  readonly type: string;
  readonly table: string;
  readonly index: string;
  readonly condition: string;
}

/** The nodes that read a table, anywhere in a plan. */
function findScans(node: unknown): Scan[] {
  if (Array.isArray(node)) return node.flatMap(findScans);
  if (typeof node !== "object" || node === null) return [];
  const plan: Record<string, unknown> = { ...node };
  const inner = Object.values(plan).flatMap(findScans);
  const type = String(plan["Node Type"]);
  if (typeof plan["Relation Name"] !== "string" || !type.includes("Scan")) return inner;
  const scan = {
    type,
    table: plan["Relation Name"],
    index: String(plan["Index Name"]),
    condition: String(plan["Index Cond"]),
  };
  return [scan, ...inner];
}
