import { ListWorkflowsResponseSchema } from "@pawl/proto";
import { shorten, table } from "../render/text.ts";
import { clientCommand, printJson } from "../shared/client-command.ts";
import { EXIT } from "../shared/exit.ts";

export const run = clientCommand(async (server, args, terminal) => {
  const response = await server.workflows.listWorkflows({});
  if (args.flag("json")) {
    printJson(terminal, ListWorkflowsResponseSchema, response);
    return EXIT.OK;
  }
  if (response.workflows.length === 0) {
    terminal.note("No worker has registered a workflow yet.");
    return EXIT.OK;
  }
  const rows = response.workflows.map(({ spec, versions, servedBy }) => [
    spec?.name ?? "",
    shorten(versions.filter((version) => version !== "").join(", "), 24),
    servedBy.length === 0 ? terminal.style("yellow", "nobody") : shorten(servedBy.join(", "), 30),
    shorten(spec?.description ?? "", 60),
  ]);
  const head = ["WORKFLOW", "VERSIONS", "SERVED BY", "DESCRIPTION"];
  for (const line of table(terminal, head, rows)) terminal.out(line);
  return EXIT.OK;
});
