import { READY_COLUMNS } from "../../row-parts.ts";
import { type Context, part } from "./part.ts";

/** Its rows are of the type of those of the ready queue. */
const INPUTS = { vacancy: { ord: "int4", ...READY_COLUMNS } } as const;

export const vacancy = part<"vacancy", typeof INPUTS>({
  tables: [],
  inputs: INPUTS,
  first: [[["vacancy"], overtaking]],
  sections: [],
  addRows(add, key, { queue, lane, rank, readyAt }) {
    add("vacancy", { ...key, queue, lane, rank, ready_at: readyAt });
  },
});

/**
 * Writes that would give a run to a worker although another one of its lane goes before it. Ordered as
 * the queue's index is, so that the plan uses it also where it was made while the table was small.
 */
function overtaking(context: Context): string {
  return `overtaking AS MATERIALIZED (
  SELECT vacancy.ord FROM ${context.from("vacancy")} CROSS JOIN LATERAL (
    SELECT true FROM pawl.ready AS q
    WHERE q.org_id = vacancy.org_id AND q.queue = vacancy.queue AND q.lane = vacancy.lane AND q.rank <= vacancy.rank
    ORDER BY q.rank, q.ready_at, q.run_id LIMIT 1) AS before)`;
}
