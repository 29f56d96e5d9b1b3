import { PauseRunResponseSchema, RunState } from "@pawl/proto";
import { controlRun } from "../shared/control-run.ts";

export const run = controlRun({
  schema: PauseRunResponseSchema,
  call: (server, runId, args) => server.runs.pauseRun({ runId, reason: args.text("reason") ?? "" }),
  describe: ({ run }) =>
    run?.state === RunState.PAUSED
      ? { run, text: "" }
      : { run, word: "PAUSING", text: "It pauses once the steps that are executing have ended." },
});
