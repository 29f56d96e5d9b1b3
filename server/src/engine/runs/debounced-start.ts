import { digest } from "../../lib/ids.ts";
import type { Caller } from "../../model/caller.ts";
import { storeUnavailable } from "../../model/errors.ts";
import type { Store } from "../../store/store.ts";
import { DEBOUNCE_TAG, joinStart } from "../decide/debounce-rules.ts";
import { newRun, type StartCommand } from "../decide/start-rules.ts";
import type { Draft } from "../draft.ts";
import type { Writer } from "../writer.ts";

const TRIES = 20;

/**
 * Joins a start with the pending run of its key, or makes the next one. The runs of a key are
 * numbered, so that two callers who find none pending make the same one.
 */
export async function startDebounced(
  { store, writer }: { readonly store: Store; readonly writer: Writer },
  caller: Caller,
  command: StartCommand,
): Promise<{ draft: Draft; existing: boolean }> {
  const { start, org } = command;
  const { workflow, debounce } = start;
  const key = debounce?.key ?? "";
  const base = `debounce-${digest(workflow, key).slice(0, 32)}`;
  let number = await latest(store, caller, { workflow, key, base });
  for (let i = 0; i < TRIES; i += 1) {
    const runId = `${base}-${Math.max(1, number)}`;
    const joined = await writer.submit({
      org,
      runId,
      bytes: (start.input.data?.byteLength ?? 0) + 500,
      create: (moment) => {
        const draft = newRun({ ...command, runId }, moment);
        return { draft, reply: { draft, existing: false } };
      },
      decide: (draft) => (joinStart(draft, start) ? { draft, existing: true } : undefined),
    });
    if (joined !== undefined) return joined;
    number = Math.max(1, number) + 1;
  }
  throw storeUnavailable(new Error(`the runs of the key "${key}" kept starting`));
}

/** The number of the newest run of the key; 0: there is none. */
async function latest(
  store: Store,
  caller: Caller,
  { workflow, key, base }: { workflow: string; key: string; base: string },
): Promise<number> {
  const { runs } = await store.listRuns(caller, {
    statuses: [],
    workflow,
    tags: { [DEBOUNCE_TAG]: key },
    limit: 1,
  });
  const runId = runs[0]?.runId ?? "";
  return runId.startsWith(`${base}-`) ? Number(runId.slice(base.length + 1)) || 0 : 0;
}
