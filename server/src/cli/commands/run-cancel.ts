import { CancelRunResponseSchema, RunState } from "@pawl/proto";
import { duration } from "../../rpc/convert/common.ts";
import { steering } from "../shared/control-run.ts";

const GRACE_MAX_S = 3_600;

export const command = steering({
  usage: "cancel ID [--reason TEXT] [--grace TIME | --force]",
  about:
    "Ends a run. A run that has begun cleans up first: in the worker that has it, or in the next one\n" +
    "that serves it. Compensations that it did not get done are shown by `pawl status`, and `pawl retry`\n" +
    "executes them.",
  options: {
    reason: { type: "string", value: "TEXT", help: "For the record and for people." },
    grace: {
      type: "string",
      value: "TIME",
      help: "How long a worker may clean up once it has the run, such as 5m; 10 (seconds) otherwise.",
    },
    force: { type: "boolean", help: "End it at once, without a worker and its clean-up." },
  },
  schema: CancelRunResponseSchema,
  ask: (server, runId, args) => {
    const grace = args.seconds("grace", 0, GRACE_MAX_S);
    const time = grace === undefined ? {} : { grace: duration(grace) };
    const force = args.flag("force");
    return server.runs.cancelRun({ runId, reason: args.text("reason") ?? "", force, ...time });
  },
  said: ({ run }) => ({
    run,
    text:
      run?.state === RunState.CANCELLED
        ? ""
        : "It is cleaning up, or will as soon as a worker serves it.",
  }),
});
