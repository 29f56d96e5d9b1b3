import type { DueHandler } from "./due-handler.ts";

/** A delayed or debounced start, or a refused run that is offered again. */
export const startDue: DueHandler = {
  decide(draft) {
    const { header } = draft;
    if (header.status !== "QUEUED") return;
    if (header.reason === "DEBOUNCED") draft.patch({ reason: "" });
    // One that has started was refused, and has passed its gates.
    if (header.startedAt === 0) draft.makeReady(header.startAt);
    else draft.makeReady(draft.now, true);
  },
};
