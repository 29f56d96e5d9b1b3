import { RUN_PARTS } from "../row.ts";
import { PATCH_COLUMNS, RUN_COLUMNS } from "../run-columns.ts";
import { REPLACE, within } from "./delta-parts.ts";
import type { InputName } from "./shapes.ts";
import { SHAPES } from "./shapes.ts";

/**
 * The parts of the one statement that applies a batch of writes. Each reads an input relation, and
 * a statement is put together from the parts whose inputs have rows (commit.ts). `ord` is the
 * write's place in the batch.
 *
 * All parts see the database as it was before the statement, and none may touch a row that another
 * one touches: hence one write per run and batch, and removals that spare what is put anew.
 */
/** What a part may know of its statement. */
export interface Context {
  has(name: InputName): boolean;
  /** The input relation as an item of FROM. */
  from(name: InputName): string;
}

export const IS_CONFIRMED = "= ANY (ARRAY(SELECT ord FROM confirmed))";
const NOT_LACKING = "<> ALL (ARRAY(SELECT ord FROM lacking))";

function unlessLacking(context: Context, ord: string): string {
  return context.has("wants") ? `\n    AND ${ord} ${NOT_LACKING}` : "";
}

/**
 * Writes that lack a payload, which was swept away since it was uploaded. The lock keeps the
 * others from being swept until this transaction has recorded its reference.
 */
export function lacking(context: Context): string {
  return `lacking AS MATERIALIZED (
  SELECT wants.ord FROM ${context.from("wants")}
  LEFT JOIN LATERAL (
    SELECT true AS found FROM pawl.payload AS p
    WHERE p.org_id = wants.org_id AND p.sha256 = wants.sha256 FOR KEY SHARE
  ) AS p ON true
  WHERE p.found IS NULL)`;
}

/** The hot path: a step of a running run. */
export function advanced(context: Context): string {
  return `advanced AS (
  UPDATE pawl.run AS r SET seq = advance.seq, updated_at = advance.updated_at
  FROM ${context.from("advance")}
  WHERE r.org_id = advance.org_id AND r.run_id = advance.run_id
    AND r.fence = advance.fence AND r.seq = advance.expected${unlessLacking(context, "advance.ord")}
  RETURNING advance.ord)`;
}

const PATCHED = ["seq", "updated_at", ...PATCH_COLUMNS];

export function patched(context: Context): string {
  return `patched AS (
  UPDATE pawl.run AS r SET ${PATCHED.map((name) => `${name} = patch.${name}`).join(", ")}
  FROM ${context.from("patch")}
  WHERE r.org_id = patch.org_id AND r.run_id = patch.run_id
    AND r.fence = patch.expected_fence AND r.seq = patch.expected
    AND r.intent = coalesce(patch.expected_intent, r.intent)${unlessLacking(context, "patch.ord")}
  RETURNING patch.ord, r.org_id, r.run_id, r.created_at)`;
}

/** New runs; another replica that made the same one first wins. */
export function created(context: Context): string {
  const columns = RUN_COLUMNS.join(", ");
  const condition = context.has("wants") ? `\n  WHERE born.ord ${NOT_LACKING}` : "";
  return `born AS MATERIALIZED (SELECT * FROM ${context.from("birth")}),
inserted AS (
  INSERT INTO pawl.run (${columns})
  SELECT ${columns} FROM born${condition}
  ON CONFLICT DO NOTHING
  RETURNING org_id, run_id),
created AS MATERIALIZED (
  SELECT born.ord, born.org_id, born.run_id, born.created_at
  FROM born JOIN inserted USING (org_id, run_id))`;
}

export function removed(context: Context): string {
  const parts = RUN_PARTS.map(
    (table) => `removed_${table} AS (
  DELETE FROM pawl.${table} AS t USING removed
  WHERE t.org_id = removed.org_id AND t.run_id = removed.run_id)`,
  );
  return [
    `removed AS (
  DELETE FROM pawl.run AS r USING ${context.from("gone")}
  WHERE r.org_id = gone.org_id AND r.run_id = gone.run_id
    AND r.fence = gone.fence AND r.seq = gone.expected
  RETURNING gone.ord, r.org_id, r.run_id)`,
    ...parts,
  ].join(",\n");
}

/** Invariant 2: all that follows concerns these writes only. */
export function confirmed(context: Context): string {
  const sources: readonly (readonly [InputName, string])[] = [
    ["advance", "advanced"],
    ["patch", "patched"],
    ["birth", "created"],
    ["gone", "removed"],
  ];
  const selects = sources
    .filter(([name]) => context.has(name))
    .map(([, relation]) => `SELECT ord FROM ${relation}`);
  return `confirmed AS MATERIALIZED (\n  ${selects.join("\n  UNION ALL ")})`;
}

/** A part that only adds rows. */
function added(context: Context, name: InputName, table: string, conflict: string): string {
  const columns = Object.keys(SHAPES[name])
    .filter((column) => column !== "ord")
    .join(", ");
  return `${name}_done AS (
  INSERT INTO pawl.${table} (${columns})
  SELECT ${columns} FROM ${context.from(name)}
  WHERE ${name}.ord ${IS_CONFIRMED}${conflict})`;
}

function upsert(key: string, columns: readonly string[]): string {
  const sets = columns.map((column) => `${column} = excluded.${column}`);
  return `\n  ON CONFLICT (${key}) DO UPDATE SET ${sets.join(", ")}`;
}

export function entries(context: Context): string {
  return added(context, "entry", "journal", "");
}

export function readyPut(context: Context): string {
  const conflict = upsert("org_id, run_id", ["queue", "lane", "rank", "ready_at"]);
  return added(context, "ready_put", "ready", conflict);
}

export function leasePut(context: Context): string {
  const conflict = upsert("org_id, run_id", ["session_id", "worker_id", "until"]);
  return added(context, "lease_put", "lease", conflict);
}

export function payloadRefPut(context: Context): string {
  return added(context, "payload_ref_put", "payload_ref", "\n  ON CONFLICT DO NOTHING");
}

export function nudgePut(context: Context): string {
  return added(context, "nudge_put", "nudge", "\n  ON CONFLICT DO NOTHING");
}

export function waitPut(context: Context): string {
  return added(
    context,
    "wait_put",
    "wait",
    upsert("org_id, run_id, step_key", ["kind", "since", "until", "data"]),
  );
}

export function assigneePut(context: Context): string {
  return added(context, "assignee_put", "wait_assignee", "\n  ON CONFLICT DO NOTHING");
}

export function waitGone(context: Context): string {
  return stepGone(context, "wait_gone", "wait");
}

export function assigneeGone(context: Context): string {
  return stepGone(context, "assignee_gone", "wait_assignee");
}

function stepGone(context: Context, name: InputName, table: string): string {
  return `${name}_done AS (
  DELETE FROM pawl.${table} AS t USING ${context.from(name)}
  WHERE t.org_id = ${name}.org_id AND t.run_id = ${name}.run_id
    AND t.step_key = ${name}.step_key AND ${name}.ord ${IS_CONFIRMED})`;
}

export function deltaPut(context: Context): string {
  const columns = "org_id, run_id, fence, first, last, after_seq, at, keep, steps, data";
  return `delta_put AS MATERIALIZED (
  SELECT * FROM ${context.from("delta_put")} WHERE delta_put.ord ${IS_CONFIRMED}),
delta_put_done AS (
  INSERT INTO pawl.delta AS d (${columns})
  SELECT ${columns} FROM delta_put
  ${REPLACE}),
${within("delta_put")}`;
}

export function readyGone(context: Context): string {
  return rowGone(context, "ready_gone", "ready");
}

export function leaseGone(context: Context): string {
  return rowGone(context, "lease_gone", "lease");
}

function rowGone(context: Context, name: InputName, table: string): string {
  return `${name}_done AS (
  DELETE FROM pawl.${table} AS t USING ${context.from(name)}
  WHERE t.org_id = ${name}.org_id AND t.run_id = ${name}.run_id AND ${name}.ord ${IS_CONFIRMED})`;
}

/** Putting a payload again makes it young again, so that it is not swept before it is referred to. */
export function payloadPut(context: Context): string {
  return `payload_put_done AS (
  INSERT INTO pawl.payload AS p (org_id, sha256, put_at, size, data)
  SELECT DISTINCT ON (org_id, sha256) org_id, sha256, put_at, size, data
  FROM ${context.from("payload_put")}
  WHERE payload_put.ord ${IS_CONFIRMED}
  ORDER BY org_id, sha256
  ON CONFLICT (org_id, sha256) DO UPDATE SET put_at = greatest(p.put_at, excluded.put_at))`;
}

/**
 * Due work of another run is put after all else, and only if that run exists then: else it would
 * never go away.
 */
export function duePut(context: Context): string {
  const key = "org_id = due_put.org_id AND r.run_id = due_put.run_id";
  const isNew = context.has("birth") ? ` OR EXISTS (SELECT FROM created AS r WHERE r.${key})` : "";
  const isGone = context.has("gone")
    ? ` AND NOT EXISTS (SELECT FROM removed AS r WHERE r.${key})`
    : "";
  return `due_put AS MATERIALIZED (
  SELECT DISTINCT ON (org_id, run_id, kind, step_key) *
  FROM ${context.from("due_put")}
  WHERE due_put.ord ${IS_CONFIRMED} AND (due_put.elsewhere = 0
    OR (EXISTS (SELECT FROM pawl.run AS r WHERE r.${key})${isNew})${isGone})
  ORDER BY org_id, run_id, kind, step_key, elsewhere DESC, ord DESC),
due_put_done AS (
  INSERT INTO pawl.due (org_id, run_id, kind, step_key, at, data)
  SELECT org_id, run_id, kind, step_key, at, data FROM due_put
  ON CONFLICT (org_id, run_id, kind, step_key) DO UPDATE SET at = excluded.at, data = excluded.data)`;
}

function unlessPut(context: Context): string {
  if (!context.has("due_put")) return "";
  return `
    AND NOT EXISTS (SELECT FROM due_put AS p WHERE p.org_id = t.org_id AND p.run_id = t.run_id
      AND p.kind = t.kind AND p.step_key = t.step_key)`;
}

export function dueGone(context: Context): string {
  return `due_gone_done AS (
  DELETE FROM pawl.due AS t USING ${context.from("due_gone")}
  WHERE t.org_id = due_gone.org_id AND t.run_id = due_gone.run_id AND t.kind = due_gone.kind
    AND t.step_key = due_gone.step_key AND t.at <= due_gone.up_to
    AND due_gone.ord ${IS_CONFIRMED}${unlessPut(context)})`;
}

export function dueClear(context: Context): string {
  return `due_clear_done AS (
  DELETE FROM pawl.due AS t USING ${context.from("due_clear")}
  WHERE t.org_id = due_clear.org_id AND t.run_id = due_clear.run_id
    AND due_clear.ord ${IS_CONFIRMED}${unlessPut(context)})`;
}

/** Brings `run_tag` in line with the tags of new and patched runs. */
export function tags(context: Context): string {
  const relations = [
    ...(context.has("patch") ? ["patched"] : []),
    ...(context.has("birth") ? ["created"] : []),
  ];
  const touched = relations.map((name) => `SELECT ord, org_id, run_id, created_at FROM ${name}`);
  const put = context.has("tag")
    ? `tag AS MATERIALIZED (SELECT * FROM ${context.from("tag")}),
tag_put_done AS (
  INSERT INTO pawl.run_tag (org_id, key, value, created_at, run_id)
  SELECT touched.org_id, tag.key, tag.value, touched.created_at, touched.run_id
  FROM tag JOIN (${touched.join(" UNION ALL ")}) AS touched ON touched.ord = tag.ord
  ON CONFLICT DO NOTHING)`
    : "";
  const spared = context.has("tag")
    ? `
    AND NOT EXISTS (SELECT FROM tag WHERE tag.ord = patched.ord AND tag.key = t.key
      AND tag.value = t.value)`
    : "";
  const gone = context.has("patch")
    ? `tag_gone_done AS (
  DELETE FROM pawl.run_tag AS t USING patched
  WHERE t.org_id = patched.org_id AND t.run_id = patched.run_id${spared})`
    : "";
  return [put, gone].filter((part) => part !== "").join(",\n");
}
