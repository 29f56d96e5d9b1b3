import { sha256 } from "../../lib/ids.ts";
import type { Caller } from "../../model/caller.ts";
import { PawlError } from "../../model/errors.ts";
import type { Payload } from "../../model/payload.ts";
import type { Store } from "../../store/store.ts";
import { type RunIdentity, readEntry, samePayload } from "../journal/journal-reads.ts";

/** The same message again is fine; another result for the same thing is a conflict. */
export async function mustEqual(
  store: Store,
  caller: Caller,
  { key, ...run }: RunIdentity & { readonly key: string },
  seq: number,
  payload: Payload,
): Promise<void> {
  const { runId } = run;
  const recorded = await readEntry(store, caller, run, seq);
  if (samePayload(recorded.payload, payload, sha256)) return;
  const address = (value: Payload): string =>
    value.ref === undefined ? sha256(value.data) : value.ref.sha256;
  const what = key === "" ? `Run "${runId}"` : `Step "${key}" of run "${runId}"`;
  throw new PawlError(
    "COMMIT_CONFLICT",
    `${what} has another result already; this one was not recorded. Read the recorded one.`,
    {
      metadata: {
        run_id: runId,
        step_key: key,
        recorded_seq: String(seq),
        recorded_digest: recorded.payload === undefined ? "" : address(recorded.payload),
        attempted_digest: address(payload),
      },
    },
  );
}
