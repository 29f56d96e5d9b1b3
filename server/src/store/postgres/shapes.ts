import { PATCH_TYPES, RUN_TYPES } from "../run-columns.ts";
import type { ColumnType } from "./arrays.ts";
import type { Shape } from "./input.ts";

/**
 * The input relations of the statement that applies writes. Each has a composite type in the
 * database (see {@link typeOf}). One that changes gets another name, since servers of the version
 * before continue with the old one while they are replaced.
 */
export const SHAPES = {
  /** References to payloads that must be there already. */
  wants: { ord: "int4", org_id: "text", sha256: "text" },
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
  ready_put: {
    ord: "int4",
    org_id: "text",
    run_id: "text",
    queue: "text",
    lane: "text",
    rank: "int4",
    ready_at: "int8",
  },
  ready_gone: { ord: "int4", org_id: "text", run_id: "text" },
  lease_put: {
    ord: "int4",
    org_id: "text",
    run_id: "text",
    session_id: "text",
    worker_id: "text",
    until: "int8",
  },
  lease_gone: { ord: "int4", org_id: "text", run_id: "text" },
  due_put: {
    ord: "int4",
    org_id: "text",
    run_id: "text",
    kind: "text",
    step_key: "text",
    at: "int8",
    data: "text",
    elsewhere: "int4",
  },
  due_gone: {
    ord: "int4",
    org_id: "text",
    run_id: "text",
    kind: "text",
    step_key: "text",
    up_to: "int8",
  },
  due_clear: { ord: "int4", org_id: "text", run_id: "text" },
  wait_put: {
    ord: "int4",
    org_id: "text",
    run_id: "text",
    step_key: "text",
    kind: "text",
    workflow: "text",
    since: "int8",
    until: "int8",
    data: "text",
  },
  wait_gone: { ord: "int4", org_id: "text", run_id: "text", step_key: "text" },
  assignee_put: {
    ord: "int4",
    org_id: "text",
    assignee: "text",
    since: "int8",
    run_id: "text",
    step_key: "text",
  },
  assignee_gone: { ord: "int4", org_id: "text", run_id: "text", step_key: "text" },
  payload_put: {
    ord: "int4",
    org_id: "text",
    sha256: "text",
    put_at: "int8",
    size: "int8",
    data: "bytea",
  },
  payload_ref_put: { ord: "int4", org_id: "text", sha256: "text", run_id: "text" },
  delta_put: {
    ord: "int4",
    org_id: "text",
    run_id: "text",
    fence: "int4",
    first: "int4",
    last: "int4",
    after_seq: "int4",
    at: "int8",
    keep: "int4",
    steps: "text",
    data: "bytea",
  },
  held_put: {
    ord: "int4",
    org_id: "text",
    run_id: "text",
    gate: "text",
    next_gate: "text",
    next_capacity: "int4",
    rank: "int4",
    held_at: "int8",
    fair: "text",
    queue: "text",
    lane: "text",
  },
  held_gone: { ord: "int4", org_id: "text", run_id: "text" },
  gate_put: {
    ord: "int4",
    org_id: "text",
    gate: "text",
    capacity: "int4",
    period_ms: "int8",
    wake_at: "int8",
    latest: "int4",
  },
  nudge_put: { ord: "int4", org_id: "text", run_id: "text", replica_id: "text" },
} as const satisfies Record<string, Shape>;

/** The rows of `putDeltas`. */
export const CHUNK = {
  ord: "int4",
  org_id: "text",
  run_id: "text",
  fence: "int4",
  first: "int4",
  last: "int4",
  at: "int8",
  keep: "int4",
  steps: "text",
  data: "bytea",
} as const satisfies Shape;

export type InputName = keyof typeof SHAPES;

/** In the order of the declaration. */
export const INPUT_NAMES = Object.keys(SHAPES).filter((name): name is InputName => name in SHAPES);

/** The types of a run's columns, which follow an input's own. */
export function runTypesOf(name: InputName): readonly ColumnType[] {
  return name === "patch" ? PATCH_TYPES : name === "birth" ? RUN_TYPES : [];
}

/** The type is `pawl.NAME_input`; with columns of a run, their number is in the name. */
export function typeOf(name: InputName): string {
  const { length } = runTypesOf(name);
  return length === 0 ? name : `${name}_${length}`;
}
