import { added, gone, IGNORE, part, upsert } from "./part.ts";

const INPUTS = {
  wait_put: {
    ord: "int4",
    org_id: "text",
    run_id: "text",
    step_key: "text",
    kind: "text",
    workflow: "text",
    since: "int8",
    until: "int8",
    data: "text",
  },
  wait_gone: { ord: "int4", org_id: "text", run_id: "text", step_key: "text" },
  assignee_put: {
    ord: "int4",
    org_id: "text",
    assignee: "text",
    since: "int8",
    run_id: "text",
    step_key: "text",
  },
  assignee_gone: { ord: "int4", org_id: "text", run_id: "text", step_key: "text" },
} as const;

const REPLACE = upsert("org_id, run_id, step_key", ["kind", "since", "until", "data"]);

export const waits = part<"waits", typeof INPUTS>({
  tables: ["wait", "wait_assignee"],
  inputs: INPUTS,
  sections: [
    added("wait_put", INPUTS.wait_put, "wait", REPLACE),
    gone("wait_gone", "wait", "step_key"),
    added("assignee_put", INPUTS.assignee_put, "wait_assignee", IGNORE),
    gone("assignee_gone", "wait_assignee", "step_key"),
  ],
  addRows(add, key, changes) {
    for (const { key: step_key, assignees, ...columns } of changes.put) {
      add("wait_put", { ...key, step_key, ...columns });
      for (const assignee of assignees ?? []) {
        add("assignee_put", { ...key, assignee, since: columns.since, step_key });
      }
    }
    for (const step_key of changes.unasked ?? []) add("assignee_gone", { ...key, step_key });
    for (const { key: step_key, isQuestion } of changes.gone) {
      add("wait_gone", { ...key, step_key });
      if (isQuestion) add("assignee_gone", { ...key, step_key });
    }
  },
});
