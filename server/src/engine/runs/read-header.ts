import type { Tenant } from "../../model/caller.ts";
import { notFound } from "../../model/errors.ts";
import type { RunHeader } from "../../model/run.ts";
import type { Store } from "../../store/store.ts";

/** A seq that no journal reaches: loads a header without entries. */
export const NO_ENTRIES = 0xffff_fffe;

/** The run's row. Rejects with NOT_FOUND. */
export async function readHeader(
  store: Pick<Store, "loadRuns">,
  { org }: Tenant,
  runId: string,
): Promise<RunHeader> {
  const [loaded] = await store.loadRuns([{ org, runId, afterSeq: NO_ENTRIES }]);
  if (loaded === undefined) throw notFound("run", runId);
  return loaded.header;
}
