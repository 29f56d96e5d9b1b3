import { RetryRunResponseSchema } from "@pawl/proto";
import { steering } from "../shared/control-run.ts";

export const command = steering({
  usage: "retry ID",
  about:
    "Lets a failed run go on from its failed step; completed steps keep their results. Also gives\n" +
    "new attempts to a run that paused because a step had used up its own.",
  schema: RetryRunResponseSchema,
  ask: (server, runId) => server.runs.retryRun({ runId }),
  said: ({ run }) => ({
    run,
    text: "It goes on from its failed step as soon as a worker is free.",
  }),
});
