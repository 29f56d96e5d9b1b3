import { DeleteRunResponseSchema } from "@pawl/proto";
import { steering } from "../shared/control-run.ts";

export const command = steering({
  usage: "delete ID",
  about: "Deletes a run that has ended, with its journal and all that belongs to it.",
  schema: DeleteRunResponseSchema,
  ask: (server, runId) => server.runs.deleteRun({ runId }),
  said: () => ({ text: "Deleted." }),
});
