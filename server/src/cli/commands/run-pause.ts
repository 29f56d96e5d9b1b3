import { PauseRunResponseSchema, RunState } from "@pawl/proto";
import { steering } from "../shared/control-run.ts";

export const command = steering({
  usage: "pause ID [--reason TEXT]",
  about: "Stops a run at its next step boundary, until `pawl resume`.",
  options: { reason: { type: "string", value: "TEXT", help: "For the record and for people." } },
  schema: PauseRunResponseSchema,
  ask: (server, runId, args) => server.runs.pauseRun({ runId, reason: args.text("reason") ?? "" }),
  said: ({ run }) =>
    run?.state === RunState.PAUSED
      ? { run, text: "" }
      : { run, word: "PAUSING", text: "It pauses once the steps in flight have ended." },
});
