import { putChunk } from "../deltas.ts";
import type { Part } from "./part.ts";

export const deltas: Part<"deltas"> = {
  tables: ["delta"],
  apply(db, { org, runId, expect }, chunks) {
    for (const chunk of chunks) putChunk(db, org, runId, expect?.seq ?? 0, chunk);
  },
};
