import { added, gone, part, upsert } from "./part.ts";

const INPUTS = {
  lease_put: {
    ord: "int4",
    org_id: "text",
    run_id: "text",
    connection_id: "text",
    worker_id: "text",
    until: "int8",
  },
  lease_gone: { ord: "int4", org_id: "text", run_id: "text" },
} as const;

const REPLACE = upsert("org_id, run_id", ["connection_id", "worker_id", "until"]);

export const lease = part<"lease", typeof INPUTS>({
  tables: ["lease"],
  inputs: INPUTS,
  sections: [added("lease_put", INPUTS.lease_put, "lease", REPLACE), gone("lease_gone", "lease")],
  addRows(add, key, change) {
    if (change === "remove") {
      add("lease_gone", key);
      return;
    }
    const { connectionId, workerId, until } = change;
    add("lease_put", { ...key, connection_id: connectionId, worker_id: workerId, until });
  },
});
