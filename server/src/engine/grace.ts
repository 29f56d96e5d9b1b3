import type { RunHeader } from "../model/run.ts";
import type { Core } from "./core.ts";
import { startGrace } from "./decide/clean-up.ts";

/**
 * Before a worker is given a run to clean up, or once it is known to have heard of the cancel: from
 * now on its grace counts, no matter who dies.
 */
export async function noteGiven(
  core: Core,
  { org, runId, fence }: Pick<RunHeader, "org" | "runId" | "fence">,
): Promise<void> {
  await core.writer.submit({
    ...{ org, runId, bytes: 200 },
    decide: (draft) => {
      if (draft.header.fence === fence) startGrace(draft);
    },
  });
}
