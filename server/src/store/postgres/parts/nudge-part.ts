import { added, IGNORE, part } from "./part.ts";

const INPUTS = {
  nudge_put: { ord: "int4", org_id: "text", run_id: "text", replica_id: "text" },
} as const;

export const nudge = part<"nudge", typeof INPUTS>({
  tables: ["nudge"],
  inputs: INPUTS,
  sections: [added("nudge_put", INPUTS.nudge_put, "nudge", IGNORE)],
  addRows(add, key, replicaId) {
    add("nudge_put", { ...key, replica_id: replicaId });
  },
});
