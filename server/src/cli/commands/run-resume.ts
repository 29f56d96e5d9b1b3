import { ResumeRunResponseSchema } from "@pawl/proto";
import { steering } from "../shared/control-run.ts";

export const command = steering({
  usage: "resume ID",
  about: "Lets a paused run go on.",
  schema: ResumeRunResponseSchema,
  ask: (server, runId) => server.runs.resumeRun({ runId }),
  said: ({ run }) => ({ run, text: "It goes on as soon as a worker is free." }),
});
