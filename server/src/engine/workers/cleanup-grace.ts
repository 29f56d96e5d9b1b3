import type { RunHeader } from "../../model/run.ts";
import { startGrace } from "../decide/clean-up.ts";
import type { Writer } from "../writer.ts";

/**
 * Before a worker is given a run to clean up, or once it is known to have heard of the cancel: from
 * now on its grace counts, no matter who dies.
 */
export async function noteGiven(
  writer: Writer,
  { org, runId, fence }: Pick<RunHeader, "org" | "runId" | "fence">,
): Promise<void> {
  await writer.submit({
    ...{ org, runId, bytes: 200 },
    decide: (draft) => {
      if (draft.header.fence === fence) startGrace(draft);
    },
  });
}
