import { PauseRunResponseSchema, RunStatus } from "@pawl/proto";
import { controlRun } from "../shared/control-run.ts";

export const run = controlRun({
  schema: PauseRunResponseSchema,
  call: (server, runId, args) => server.runs.pauseRun({ runId, reason: args.text("reason") ?? "" }),
  describe: ({ run }) =>
    run?.status === RunStatus.PAUSED
      ? { run, text: "" }
      : { run, word: "PAUSING", text: "It pauses once the steps that are executing have ended." },
});
