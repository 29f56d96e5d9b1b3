import { PATCH_COLUMNS, PATCH_TYPES, RUN_COLUMNS, RUN_TYPES } from "../../run-columns.ts";
import type { ColumnType } from "../arrays.ts";
import { RUN_PARTS, SUBJECT_PARTS } from "./index.ts";
import { added, type Context, type Section } from "./part.ts";

/** The rows of runs, their tags and their journals. */
export const RUN_INPUTS = {
  advance: {
    ord: "int4",
    org_id: "text",
    run_id: "text",
    fence: "int4",
    expected: "int4",
    seq: "int4",
    updated_at: "int8",
  },
  patch: {
    ord: "int4",
    org_id: "text",
    run_id: "text",
    expected_fence: "int4",
    expected: "int4",
    expected_intent: "text?",
    seq: "int4",
    updated_at: "int8",
  },
  birth: { ord: "int4" },
  gone: { ord: "int4", org_id: "text", run_id: "text", fence: "int4", expected: "int4" },
  entry: {
    ord: "int4",
    org_id: "text",
    run_id: "text",
    seq: "int4",
    at: "int8",
    attempt: "int4",
    crc: "int8",
    type: "text",
    step_key: "text",
    meta: "text",
    encoding: "text?",
    payload_sha256: "text?",
    payload_size: "int8?",
    payload: "bytea?",
  },
  tag: { ord: "int4", key: "text", value: "text" },
} as const;

/** The types of a run's columns, which follow an input's own. */
export function runTypesOf(name: string): readonly ColumnType[] {
  return name === "patch" ? PATCH_TYPES : name === "birth" ? RUN_TYPES : [];
}

/** The type is `pawl.NAME_input`; with columns of a run, their number is in the name. */
export function typeOf(name: string): string {
  if (name === "vacancy") return "ready_put";
  const { length } = runTypesOf(name);
  return length === 0 ? name : `${name}_${length}`;
}

export const RUN_SECTIONS: readonly Section[] = [
  [["advance"], advanced],
  [["patch"], patched],
  [["birth"], created],
  [["gone"], removed],
  [["advance", "patch", "birth", "gone"], confirmed],
  added("entry", RUN_INPUTS.entry, "journal", ""),
  [["patch", "tag"], tags],
];

/** What keeps a write from being applied, by the input that calls for it. */
const OBSTACLES = [
  ["wants", "lacking"],
  ["vacancy", "overtaking"],
] as const;

/** With `link` before the first condition, if there is any. */
function unlessHindered(context: Context, ord: string, link = "AND"): string {
  const conditions = OBSTACLES.filter(([input]) => context.has(input)).map(
    ([, relation]) => `${ord} <> ALL (ARRAY(SELECT ord FROM ${relation}))`,
  );
  return conditions.length === 0 ? "" : `\n    ${link} ${conditions.join("\n    AND ")}`;
}

/** The hot path: a step of a running run. */
function advanced(context: Context): string {
  return `advanced AS (
  UPDATE pawl.run AS r SET seq = advance.seq, updated_at = advance.updated_at
  FROM ${context.from("advance")}
  WHERE r.org_id = advance.org_id AND r.run_id = advance.run_id
    AND r.fence = advance.fence AND r.seq = advance.expected${unlessHindered(context, "advance.ord")}
  RETURNING advance.ord)`;
}

const PATCHED = ["seq", "updated_at", ...PATCH_COLUMNS];

function patched(context: Context): string {
  return `patched AS (
  UPDATE pawl.run AS r SET ${PATCHED.map((name) => `${name} = patch.${name}`).join(", ")}
  FROM ${context.from("patch")}
  WHERE r.org_id = patch.org_id AND r.run_id = patch.run_id
    AND r.fence = patch.expected_fence AND r.seq = patch.expected
    AND r.intent = coalesce(patch.expected_intent, r.intent)${unlessHindered(context, "patch.ord")}
  RETURNING patch.ord, r.org_id, r.run_id, r.created_at)`;
}

/** New runs; another replica that made the same one first wins. */
function created(context: Context): string {
  const columns = RUN_COLUMNS.join(", ");
  return `born AS MATERIALIZED (SELECT * FROM ${context.from("birth")}),
inserted AS (
  INSERT INTO pawl.run (${columns})
  SELECT ${columns} FROM born${unlessHindered(context, "born.ord", "WHERE")}
  ON CONFLICT DO NOTHING
  RETURNING org_id, run_id),
created AS MATERIALIZED (
  SELECT born.ord, born.org_id, born.run_id, born.created_at
  FROM born JOIN inserted USING (org_id, run_id))`;
}

function removed(context: Context): string {
  const part = (table: string, condition: string): string => `removed_${table} AS (
  DELETE FROM pawl.${table} AS t USING removed
  WHERE t.org_id = removed.org_id AND ${condition})`;
  const parts = [
    ...RUN_PARTS.map((table) => part(table, "t.run_id = removed.run_id")),
    ...SUBJECT_PARTS.map((table) => part(table, "t.subject = 'run/' || removed.run_id")),
  ];
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
function confirmed(context: Context): string {
  const sources: readonly (readonly [string, string])[] = [
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

/** Brings `run_tag` in line with the tags of new and patched runs. */
function tags(context: Context): string {
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
