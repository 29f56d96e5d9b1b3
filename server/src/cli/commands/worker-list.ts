import { ListWorkersResponseSchema } from "@pawl/proto";
import { formatTime, shorten, table } from "../render/text.ts";
import { clientCommand, printJson } from "../shared/client-command.ts";
import { EXIT } from "../shared/exit.ts";
import { ms } from "../shared/run-text.ts";

export const run = clientCommand(async (server, args, terminal) => {
  const response = await server.workers.listWorkers({});
  if (args.flag("json")) {
    printJson(terminal, ListWorkersResponseSchema, response);
    return EXIT.OK;
  }
  if (response.workers.length === 0) {
    terminal.note(
      "No worker has connected in the last hour. Start one together with a server: `pawl dev worker.ts`.",
    );
    return EXIT.OK;
  }
  const rows = response.workers.map(({ info, connected, lastSeen, inFlight }) => [
    info?.workerId ?? "",
    connected ? terminal.style("green", "connected") : terminal.style("dim", "gone"),
    `${inFlight}/${info?.slots ?? 0}`,
    shorten(`${info?.language ?? ""} ${info?.sdkVersion ?? ""}`.trim(), 20),
    formatTime(ms(lastSeen) ?? 0),
    shorten(info?.workflows.map((workflow) => workflow.name).join(", ") ?? "", 40),
  ]);
  const head = ["WORKER", "STATUS", "RUNS", "SDK", "SEEN", "WORKFLOWS"];
  for (const line of table(terminal, head, rows)) terminal.out(line);
  return EXIT.OK;
});
