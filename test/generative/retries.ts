/** What a retry of a run leaves of its journal for the next execution. */
import type { JournalEntry } from "@pawl/proto";

/** The keys whose failures a retry took back. */
export function supersededBy({ details }: JournalEntry): readonly string[] {
  const keys: unknown = JSON.parse(details.superseded ?? "[]");
  return Array.isArray(keys) ? keys.map(String) : [];
}

/**
 * The journal as the last execution finds and continues it: without the ends and the failures that
 * retries took back, and without what was stopped or closed before, which counts as not recorded.
 */
export function sinceRetries(journal: readonly JournalEntry[]): readonly JournalEntry[] {
  let kept: JournalEntry[] = [];
  for (const entry of journal) {
    if (entry.type !== "run.retried") {
      kept.push(entry);
      continue;
    }
    const gone = new Set(supersededBy(entry));
    const last = new Map(kept.map(({ stepKey, type }) => [stepKey, type]));
    kept = kept.filter(({ stepKey, type }) => {
      const ended = /step\.cancelled$|wait\.closed$/.test(last.get(stepKey) ?? "");
      return type !== "run.failed" && !gone.has(stepKey) && !(stepKey !== "" && ended);
    });
  }
  return kept;
}

/** How often a run was paused because nobody knows whether that step had its effect. */
export function unknownOutcomes(journal: readonly JournalEntry[], stepKey: string): number {
  return journal.filter(
    ({ type, details }) => type === "run.paused" && details.step_key === stepKey,
  ).length;
}
