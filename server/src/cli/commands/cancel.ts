import { CancelRunResponseSchema, RunState } from "@pawl/proto";
import { duration } from "../../rpc/convert/common.ts";
import { steering } from "../steer.ts";

const GRACE_MAX_S = 3_600;

export const command = steering({
  usage: "cancel ID [--reason TEXT] [--grace SECONDS]",
  about: "Ends a run. A worker that has it gets the grace to clean up.",
  options: {
    reason: { type: "string", value: "TEXT", help: "For the record and for people." },
    grace: {
      type: "string",
      value: "SECONDS",
      help: "How long the worker may clean up; 10 otherwise.",
    },
  },
  schema: CancelRunResponseSchema,
  ask: (server, runId, args) => {
    const grace = args.integer("grace", 0, GRACE_MAX_S);
    const time = grace === undefined ? {} : { grace: duration(grace * 1_000) };
    return server.runs.cancelRun({ runId, reason: args.text("reason") ?? "", ...time });
  },
  said: ({ run }) => ({
    run,
    text: run?.state === RunState.CANCELLED ? "" : "Its worker is cleaning up.",
  }),
});
