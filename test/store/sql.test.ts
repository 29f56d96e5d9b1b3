/**
 * The text of the hot statements, so that a change of them is seen and meant; on SQLite, whose
 * plans depend on the schema alone, the plans too.
 */

import { readdirSync, readFileSync } from "node:fs";
import { DatabaseSync } from "node:sqlite";
import { describe, expect, test } from "vitest";
import { listStatement } from "../../server/src/store/list-runs.ts";
import { listWaitsStatement } from "../../server/src/store/list-waits.ts";
import { CLAIM } from "../../server/src/store/postgres/claim.ts";
import { INPUT_NAMES, statementFor } from "../../server/src/store/postgres/commit.ts";
import * as pgDeltas from "../../server/src/store/postgres/deltas.ts";
import * as pgDue from "../../server/src/store/postgres/due.ts";
import * as pgJournal from "../../server/src/store/postgres/journal.ts";
import * as pgLeases from "../../server/src/store/postgres/leases.ts";
import * as admit from "../../server/src/store/sqlite/admit.ts";
import * as claim from "../../server/src/store/sqlite/claim.ts";
import * as commit from "../../server/src/store/sqlite/commit.ts";
import * as deltas from "../../server/src/store/sqlite/deltas.ts";
import * as due from "../../server/src/store/sqlite/due.ts";
import * as journal from "../../server/src/store/sqlite/journal.ts";
import * as leases from "../../server/src/store/sqlite/leases.ts";
import * as admissionPart from "../../server/src/store/sqlite/parts/admission-part.ts";
import * as duePart from "../../server/src/store/sqlite/parts/due-part.ts";
import * as payloadsPart from "../../server/src/store/sqlite/parts/payloads-part.ts";
import { rowStatements } from "../../server/src/store/sqlite/parts/row-parts.ts";
import * as vacancyPart from "../../server/src/store/sqlite/parts/vacancy-part.ts";
import * as payloads from "../../server/src/store/sqlite/payloads.ts";
import * as runs from "../../server/src/store/sqlite/runs.ts";
import * as secrets from "../../server/src/store/sqlite/secrets.ts";
import * as writeRun from "../../server/src/store/sqlite/write-run.ts";
import type { WaitFilter } from "../../server/src/store/waits.ts";
import { makeFilter } from "./make.ts";

/** The constants of a module that are SQL. */
function statements(module: object): [string, string][] {
  return Object.entries(module).filter(
    (entry): entry is [string, string] => typeof entry[1] === "string",
  );
}

describe("PostgreSQL", () => {
  const batches: [string, string[]][] = [
    ["steps", ["advance", "entry"]],
    ["starts", ["birth", "entry", "ready_put"]],
    ["starts that are given to a worker", ["birth", "entry", "vacancy", "lease_put"]],
    ["starts, steps and ends", ["advance", "patch", "birth", "entry", "ready_put", "lease_gone"]],
    ["everything", [...INPUT_NAMES]],
  ];
  test.each(batches)("writes: %s", (_, names) => {
    expect(statementFor(names).text).toMatchSnapshot();
  });

  test("claim", () => {
    expect(CLAIM).toMatchSnapshot();
  });

  test.each([
    ...statements(pgJournal),
    ...statements(pgLeases),
    ...statements(pgDue),
    ...statements(pgDeltas),
  ])("%s", (_, sql) => {
    expect(sql).toMatchSnapshot();
  });

  test("a combination of inputs has one text and one name", () => {
    const first = statementFor(["advance", "entry"]);
    expect(statementFor(["advance", "entry"])).toBe(first);
    expect(statementFor(["advance"]).name).not.toBe(first.name);
  });
});

describe("SQLite", () => {
  const folder = new URL("../../server/src/store/sqlite/migrations/", import.meta.url);
  const db = new DatabaseSync(":memory:");
  for (const file of readdirSync(folder).toSorted())
    if (file.endsWith(".sql")) db.exec(readFileSync(new URL(file, folder), "utf8"));

  /** One line for each table that is read, with the index. */
  function plan(sql: string): string[] {
    const rows = db.prepare(`EXPLAIN QUERY PLAN ${sql}`).all();
    return rows.map(({ detail }) => String(detail));
  }

  const modules = [
    writeRun,
    commit,
    claim,
    journal,
    leases,
    due,
    deltas,
    payloads,
    runs,
    secrets,
    admit,
    admissionPart,
    duePart,
    payloadsPart,
    rowStatements(),
    vacancyPart,
  ];
  test.each(modules.flatMap(statements))("%s", (_, sql) => {
    const lines = plan(sql);
    expect([sql, ...lines].join("\n")).toMatchSnapshot();
    // The leases that ran out are found by reading all, on purpose; see row-parts.ts. So are the runs
    // with deltas, by an index that holds those only.
    const mayScan =
      sql === leases.EXPIRED_LEASES || sql === leases.LIST_LEASES || sql === deltas.DELTA_RUNS;
    if (!mayScan) expect(lines.filter((line) => /^SCAN (?!CONSTANT)/.test(line))).toEqual([]);
  });

  const lists: [string, Parameters<typeof makeFilter>[0]][] = [
    ["all", {}],
    ["a status", { statuses: ["FAILED"] }],
    ["two statuses", { statuses: ["FAILED", "RUNNING"] }],
    ["a workflow", { workflow: "w" }],
    ["a workflow and a status", { workflow: "w", statuses: ["RUNNING"] }],
    ["a workflow and COMPLETED", { workflow: "w", statuses: ["COMPLETED"] }],
    ["a parent", { parentRunId: "p" }],
    ["two tags and a status", { tags: { a: "1", b: "2" }, statuses: ["RUNNING"] }],
  ];
  test.each(lists)("list by %s: by an index, in its order", (_, with_) => {
    for (const after of [undefined, { createdAt: 5, runId: "r" }]) {
      const { sql } = listStatement(
        runs.DIALECT,
        "o",
        makeFilter({ ...with_, ...(after && { after }) }),
      );
      const lines = plan(sql);
      if (after === undefined) expect([sql, ...lines].join("\n")).toMatchSnapshot();
      expect(lines.filter((line) => /^SCAN (key|run|lease)/.test(line))).toEqual([]);
      const lookUps = lines.filter((line) => line.startsWith("SEARCH run "));
      expect(lookUps.filter((line) => !line.includes("(org_id=? AND run_id=?)"))).toEqual([]);
      // The page is sorted, and before that the parts when there are several; never what they are from.
      const sorts = (with_?.statuses?.length ?? 0) > 1 ? 2 : 1;
      expect(lines.filter((line) => line.includes("TEMP B-TREE")).length).toBeLessThanOrEqual(
        sorts,
      );
    }
  });

  const waitLists: [string, Partial<WaitFilter>][] = [
    ["kinds", {}],
    ["a workflow", { workflow: "w" }],
    ["a run", { runId: "r" }],
    ["assignees", { assignees: ["a", ""] }],
    ["an assignee and a workflow", { assignees: ["a"], workflow: "w" }],
  ];
  test.each(waitLists)("list of waits by %s: by an index, in its order", (_, with_) => {
    for (const after of [undefined, { since: 5, runId: "r", key: "k" }]) {
      const filter = { kinds: ["user", "sleep"], limit: 10, ...with_, ...(after && { after }) };
      const { sql } = listWaitsStatement(runs.DIALECT, "o", filter);
      const lines = plan(sql);
      if (after === undefined) expect([sql, ...lines].join("\n")).toMatchSnapshot();
      expect(lines.filter((line) => /^SCAN (key|w|t)\b/.test(line))).toEqual([]);
      if (with_.runId !== undefined) continue;
      const parts = lines.filter((line) => line.startsWith("SEARCH key "));
      expect(
        parts.every((line) => line.includes("COVERING INDEX") || line.includes("PRIMARY KEY")),
      ).toBe(true);
    }
  });
});
