/** What has ended and may be deleted, and the space that this frees. Part of the store. */
export interface RetentionStore {
  /**
   * Some runs that ended before a time, in the order of their end, all of one organization.
   *
   * @param after where to continue; the organization `""` is before all others
   */
  endedRuns(after: EndedPlace, before: number, limit: number): Promise<EndedPage>;
  /**
   * Gives some free space back to the file system if there is much of it.
   *
   * @param pages how much at most, in pages of the database
   * @returns whether there is more to give back
   */
  shrink(pages: number): Promise<boolean>;
}

/** A place in the order of organizations, times and run ids. */
export interface EndedPlace {
  readonly org: string;
  readonly endedAt: number;
  readonly runId: string;
}

export interface EndedPage {
  readonly runs: EndedRun[];
  /** Where the next page starts; `undefined` after the last one. */
  readonly next: EndedPlace | undefined;
}

export interface EndedRun extends EndedPlace {
  /** The number of its entries. */
  readonly seq: number;
  /** Whether its parent is still there, which may ask for its outcome again, or a child that is alive. */
  readonly isNeeded: boolean;
}

/** The page of what was read, and where the next one starts. */
export function toEndedPage(
  runs: EndedRun[],
  limit: number,
  nextOrg: string | undefined,
): EndedPage {
  const last = runs.at(-1);
  if (runs.length === limit && last !== undefined) {
    const { org, endedAt, runId } = last;
    return { runs, next: { org, endedAt, runId } };
  }
  return {
    runs,
    next: nextOrg === undefined ? undefined : { org: nextOrg, endedAt: 0, runId: "" },
  };
}

/** The statements for both databases, with `?` for each value, in order. */
export function endedStatements(schema: string): { readonly page: string; readonly org: string } {
  return {
    page: `SELECT r.org_id, r.ended_at, r.run_id, r.seq,
  CASE WHEN EXISTS (SELECT 1 FROM ${schema}run AS parent
    WHERE parent.org_id = r.org_id AND parent.run_id = r.parent_run_id AND r.parent_run_id <> '')
  OR EXISTS (SELECT 1 FROM ${schema}run AS child
    WHERE child.org_id = r.org_id AND child.parent_run_id = r.run_id AND child.parent_run_id <> ''
      AND child.ended_at = 0) THEN 1 ELSE 0 END AS is_needed
FROM ${schema}run AS r
WHERE r.org_id = ? AND r.ended_at > 0 AND (r.ended_at, r.run_id) > (?, ?) AND r.ended_at < ?
ORDER BY r.ended_at, r.run_id LIMIT ?`,
    org: `SELECT org_id FROM ${schema}run WHERE ended_at > 0 AND org_id > ? ORDER BY org_id LIMIT 1`,
  };
}
