/** Parts of the statements that put chunks of deltas on record. */

/** What was sent again comes in other pieces: a longer one replaces that with the same beginning … */
export const REPLACE = `ON CONFLICT (org_id, run_id, fence, first) DO UPDATE SET last = excluded.last,
  after_seq = excluded.after_seq, at = excluded.at, keep = excluded.keep, steps = excluded.steps,
  data = excluded.data WHERE excluded.last > d.last`;

/** … and those that it holds whole go. */
export function within(source: string): string {
  return `within AS (
  DELETE FROM pawl.delta AS d USING ${source}
  WHERE d.org_id = ${source}.org_id AND d.run_id = ${source}.run_id AND d.fence = ${source}.fence
    AND d.first > ${source}.first AND d.first <= ${source}.last AND d.last <= ${source}.last)`;
}
