import { RetryRunResponseSchema } from "@pawl/proto";
import { controlRun } from "../shared/control-run.ts";

export const run = controlRun({
  schema: RetryRunResponseSchema,
  call: (server, runId) => server.runs.retryRun({ runId }),
  describe: ({ run }) => ({ run, text: "It continues as soon as a worker is free." }),
});
