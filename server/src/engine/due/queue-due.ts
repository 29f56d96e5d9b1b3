import { failRun } from "../decide/run-end.ts";
import type { DueHandler } from "./due-handler.ts";

/** No worker has taken the run in time. */
export const queueDue: DueHandler = {
  decide(draft) {
    const { header } = draft;
    if (header.status !== "QUEUED" || header.startedAt !== 0) return;
    const limit = header.options.queueTimeoutMs ?? 0;
    const message = `No worker took the run within ${limit} ms.`;
    failRun(draft, { type: "QueueTimeout", message }, {});
    draft.raiseFence();
  },
};
