import { DeleteRunResponseSchema } from "@pawl/proto";
import { controlRun } from "../shared/control-run.ts";

export const run = controlRun({
  schema: DeleteRunResponseSchema,
  call: (server, runId) => server.runs.deleteRun({ runId }),
  describe: () => ({ text: "Deleted." }),
});
