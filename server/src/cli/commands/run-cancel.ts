import { CancelRunResponseSchema, RunStatus } from "@pawl/proto";
import { BOUNDS } from "../../model/bounds.ts";
import { duration } from "../../rpc/convert/common-messages.ts";
import { controlRun } from "../shared/control-run.ts";

export const run = controlRun({
  schema: CancelRunResponseSchema,
  call: (server, runId, args) => {
    const graceMs = args.duration("grace", BOUNDS.cancelGraceMaxMs);
    const time = graceMs === undefined ? {} : { grace: duration(graceMs) };
    const force = args.flag("force");
    return server.runs.cancelRun({ runId, reason: args.text("reason") ?? "", force, ...time });
  },
  describe: ({ run }) => ({
    run,
    text:
      run?.status === RunStatus.CANCELLED
        ? ""
        : "It is cleaning up, or will do so as soon as a worker serves its workflow.",
  }),
});
