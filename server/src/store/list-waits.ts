import type { Dialect, ListStatement } from "./list-runs.ts";
import type { WaitFilter } from "./waits.ts";

/** The order of a list, over the columns of a table. */
function order(table: string, filter: WaitFilter): string {
  const way = filter.newest === true ? " DESC" : "";
  return ["since", "run_id", "step_key"].map((column) => `${table}${column}${way}`).join(", ");
}

/**
 * One page of waits in their order, and one more to see whether there are more. The page is
 * merged from parts, each the first rows of one index range in its order: one per assignee, or one
 * per kind. The waits of one run are few enough to be sorted.
 */
export function listWaitsStatement(
  dialect: Dialect,
  org: string,
  filter: WaitFilter,
): ListStatement {
  const parts =
    filter.assignees === undefined
      ? filter.kinds.map((kind) => partOfKind(dialect, org, filter, kind))
      : filter.assignees.map((assignee) => partOfAssignee(dialect, org, filter, assignee));
  const keys = parts.map((part) => `SELECT * FROM (${part.sql}) AS part`).join("\nUNION\n");
  // CROSS JOIN: SQLite would else read all waits in the final order, to look each up in the page.
  return {
    sql: `SELECT w.run_id, w.step_key, w.kind, w.workflow, w.since, w.until, w.data,
  run.run_uid, run.created_at
FROM (SELECT * FROM (\n${keys}) AS parts\nORDER BY ${order("", filter)} LIMIT ?) AS page
CROSS JOIN ${dialect.schema}wait AS w
CROSS JOIN ${dialect.schema}run AS run
WHERE w.org_id = ? AND w.run_id = page.run_id AND w.step_key = page.step_key
  AND run.org_id = w.org_id AND run.run_id = w.run_id
ORDER BY ${order("w.", filter)}`,
    values: [...parts.flatMap((part) => part.values), filter.limit + 1, org],
  };
}

function partOfKind(
  { schema, hint }: Dialect,
  org: string,
  filter: WaitFilter,
  kind: string,
): ListStatement {
  const { runId, workflow } = filter;
  const index = workflow === undefined ? "wait_kind" : "wait_workflow";
  const source =
    runId === undefined ? `${schema}wait AS key ${hint(index)}` : `${schema}wait AS key`;
  const where = ["key.org_id = ?"];
  const values: (string | number)[] = [org];
  if (runId !== undefined) {
    where.push("key.run_id = ?");
    values.push(runId);
  }
  if (workflow !== undefined) {
    where.push("key.workflow = ?");
    values.push(workflow);
  }
  where.push("key.kind = ?");
  values.push(kind);
  return page(source, where, values, filter);
}

function partOfAssignee(
  { schema }: Dialect,
  org: string,
  filter: WaitFilter,
  assignee: string,
): ListStatement {
  const { runId, workflow } = filter;
  const where = ["key.org_id = ?", "key.assignee = ?"];
  const values: (string | number)[] = [org, assignee];
  if (runId !== undefined) {
    where.push("key.run_id = ?");
    values.push(runId);
  }
  if (workflow !== undefined) {
    where.push(`EXISTS (SELECT 1 FROM ${schema}wait AS t WHERE t.org_id = key.org_id
    AND t.run_id = key.run_id AND t.step_key = key.step_key AND t.workflow = ?)`);
    values.push(workflow);
  }
  return page(`${schema}wait_assignee AS key`, where, values, filter);
}

function page(
  source: string,
  where: string[],
  values: (string | number)[],
  filter: WaitFilter,
): ListStatement {
  const { after, limit } = filter;
  if (after !== undefined) {
    const beyond = filter.newest === true ? "<" : ">";
    where.push(`(key.since, key.run_id, key.step_key) ${beyond} (?, ?, ?)`);
    values.push(after.since, after.runId, after.key);
  }
  return {
    sql: `SELECT key.since, key.run_id, key.step_key FROM ${source}
WHERE ${where.join("\n  AND ")}
ORDER BY ${order("key.", filter)} LIMIT ?`,
    values: [...values, limit + 1],
  };
}
