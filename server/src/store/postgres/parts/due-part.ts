import { formatSubject } from "../../../model/ids.ts";
import { ANY_TIME } from "../../due.ts";
import { type Context, IS_CONFIRMED, part } from "./part.ts";

const INPUTS = {
  due_put: {
    ord: "int4",
    org_id: "text",
    subject: "text",
    kind: "text",
    step_key: "text",
    at: "int8",
    data: "text",
    elsewhere: "int4",
  },
  due_gone: {
    ord: "int4",
    org_id: "text",
    subject: "text",
    kind: "text",
    step_key: "text",
    up_to: "int8",
  },
  due_clear: { ord: "int4", org_id: "text", subject: "text" },
} as const;

export const due = part<"due", typeof INPUTS>({
  tables: [],
  subjectTables: ["due"],
  inputs: INPUTS,
  sections: [
    [["due_put"], duePut],
    [["due_gone"], dueGone],
    [["due_clear"], dueClear],
  ],
  /** What is put anew is not removed as well: both would touch the same row in one statement. */
  addRows(add, { ord, org_id, run_id }, { put, remove, isCleared, elsewhere }) {
    const key = { ord, org_id, subject: formatSubject("run", run_id) };
    for (const { key: step_key, kind, at, data } of put) {
      add("due_put", { ...key, kind, step_key, at, data, elsewhere: 0 });
    }
    for (const { runId, row } of elsewhere) {
      const { key: step_key, kind, at, data } = row;
      const subject = formatSubject("run", runId);
      add("due_put", { ...key, subject, kind, step_key, at, data, elsewhere: 1 });
    }
    if (isCleared === true) add("due_clear", key);
    else {
      for (const { kind, key: step_key, upTo } of remove) {
        add("due_gone", { ...key, kind, step_key, up_to: upTo ?? ANY_TIME });
      }
    }
  },
});

/**
 * Due work of another run is put after all else, and only if that run exists then: else it would
 * never go away.
 */
function duePut(context: Context): string {
  const key = "org_id = due_put.org_id AND r.run_id = substr(due_put.subject, 5)";
  const isNew = context.has("birth") ? ` OR EXISTS (SELECT FROM created AS r WHERE r.${key})` : "";
  const isGone = context.has("gone")
    ? ` AND NOT EXISTS (SELECT FROM removed AS r WHERE r.${key})`
    : "";
  return `due_put AS MATERIALIZED (
  SELECT DISTINCT ON (org_id, subject, kind, step_key) *
  FROM ${context.from("due_put")}
  WHERE due_put.ord ${IS_CONFIRMED} AND (due_put.elsewhere = 0
    OR (EXISTS (SELECT FROM pawl.run AS r WHERE r.${key})${isNew})${isGone})
  ORDER BY org_id, subject, kind, step_key, elsewhere DESC, ord DESC),
due_put_done AS (
  INSERT INTO pawl.due (org_id, subject, kind, step_key, at, data)
  SELECT org_id, subject, kind, step_key, at, data FROM due_put
  ON CONFLICT (org_id, subject, kind, step_key) DO UPDATE SET at = excluded.at, data = excluded.data)`;
}

function unlessPut(context: Context): string {
  if (!context.has("due_put")) return "";
  return `
    AND NOT EXISTS (SELECT FROM due_put AS p WHERE p.org_id = t.org_id AND p.subject = t.subject
      AND p.kind = t.kind AND p.step_key = t.step_key)`;
}

function dueGone(context: Context): string {
  return `due_gone_done AS (
  DELETE FROM pawl.due AS t USING ${context.from("due_gone")}
  WHERE t.org_id = due_gone.org_id AND t.subject = due_gone.subject AND t.kind = due_gone.kind
    AND t.step_key = due_gone.step_key AND t.at <= due_gone.up_to
    AND due_gone.ord ${IS_CONFIRMED}${unlessPut(context)})`;
}

function dueClear(context: Context): string {
  return `due_clear_done AS (
  DELETE FROM pawl.due AS t USING ${context.from("due_clear")}
  WHERE t.org_id = due_clear.org_id AND t.subject = due_clear.subject
    AND due_clear.ord ${IS_CONFIRMED}${unlessPut(context)})`;
}
