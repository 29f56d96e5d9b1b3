import { ResumeRunResponseSchema } from "@pawl/proto";
import { controlRun } from "../shared/control-run.ts";

export const run = controlRun({
  schema: ResumeRunResponseSchema,
  call: (server, runId) => server.runs.resumeRun({ runId }),
  describe: ({ run }) => ({ run, text: "It continues as soon as a worker is free." }),
});
