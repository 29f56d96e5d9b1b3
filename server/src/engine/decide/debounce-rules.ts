/** Starts that are joined into one run, until it starts. */

import { BOUNDS } from "../../model/bounds.ts";
import { PawlError } from "../../model/errors.ts";
import type { RunOptions } from "../../model/run.ts";
import type { Draft } from "../draft.ts";
import type { StartRun } from "../runs/run-types.ts";

/** The tag by which the run of a key is found. */
export const DEBOUNCE_TAG = "pawl.debounce";

export function debounceOf({ debounce }: StartRun, now: number): Pick<RunOptions, "debounce"> {
  if (debounce === undefined) return {};
  const { key, maxWaitMs } = debounce;
  return { debounce: { key, ...(maxWaitMs === undefined ? {} : { maxAt: now + maxWaitMs }) } };
}

export function tagsOf({ debounce, tags }: StartRun): Readonly<Record<string, string>> {
  return debounce === undefined ? tags : { ...tags, [DEBOUNCE_TAG]: debounce.key };
}

/**
 * Takes the input of a later start, and moves the start of the run.
 *
 * @returns false where the run has started, or is steered otherwise: the start needs another one
 */
export function joinStart(draft: Draft, { debounce, input }: StartRun): boolean {
  const { header } = draft;
  const pending = header.status === "QUEUED" && header.reason === "DEBOUNCED";
  if (!pending || debounce === undefined) return false;
  if (header.seq >= BOUNDS.debouncedStarts) {
    throw new PawlError(
      "RATE_LIMITED",
      `Run "${header.runId}" has had ${header.seq} starts with the key "${debounce.key}" and is about to begin; it takes no more. Try again then.`,
      { metadata: { run_id: header.runId }, retryAfterMs: debounce.periodMs },
    );
  }
  // They are kept by reference: however many there are, a worker gets them with the run.
  draft.append("run.input.replaced", "", 0, {}, input, 0);
  const { maxAt = Number.POSITIVE_INFINITY } = header.options.debounce ?? {};
  draft.due.put("start", "", Math.min(draft.now + debounce.periodMs, maxAt));
  return true;
}
