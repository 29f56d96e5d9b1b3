import { added, gone, part, upsert } from "./part.ts";

const INPUTS = {
  ready_put: {
    ord: "int4",
    org_id: "text",
    run_id: "text",
    queue: "text",
    lane: "text",
    rank: "int4",
    ready_at: "int8",
  },
  ready_gone: { ord: "int4", org_id: "text", run_id: "text" },
} as const;

const REPLACE = upsert("org_id, run_id", ["queue", "lane", "rank", "ready_at"]);

export const ready = part<"ready", typeof INPUTS>({
  tables: ["ready"],
  inputs: INPUTS,
  sections: [added("ready_put", INPUTS.ready_put, "ready", REPLACE), gone("ready_gone", "ready")],
  addRows(add, key, change) {
    if (change === "remove") {
      add("ready_gone", key);
      return;
    }
    const { queue, lane, rank, readyAt } = change;
    add("ready_put", { ...key, queue, lane, rank, ready_at: readyAt });
  },
});
