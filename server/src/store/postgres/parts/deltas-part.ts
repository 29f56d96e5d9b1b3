import { REPLACE, within } from "../delta-parts.ts";
import { type Context, IS_CONFIRMED, part } from "./part.ts";

const INPUTS = {
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
} as const;

export const deltas = part<"deltas", typeof INPUTS>({
  tables: ["delta"],
  inputs: INPUTS,
  sections: [[["delta_put"], deltaPut]],
  addRows(add, key, chunks, { expect }) {
    for (const chunk of chunks) {
      const keep = chunk.keep ? 1 : 0;
      add("delta_put", { ...key, ...chunk, keep, after_seq: expect?.seq ?? 0 });
    }
  },
});

function deltaPut(context: Context): string {
  const columns = "org_id, run_id, fence, first, last, after_seq, at, keep, steps, data";
  return `delta_put AS MATERIALIZED (
  SELECT * FROM ${context.from("delta_put")} WHERE delta_put.ord ${IS_CONFIRMED}),
delta_put_done AS (
  INSERT INTO pawl.delta AS d (${columns})
  SELECT ${columns} FROM delta_put
  ${REPLACE}),
${within("delta_put")}`;
}
