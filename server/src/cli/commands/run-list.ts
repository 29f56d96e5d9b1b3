import { create } from "@bufbuild/protobuf";
import { ListRunsResponseSchema, type Run } from "@pawl/proto";
import { cutEnd, formatTime, shorten, table } from "../render/text.ts";
import { limitOf } from "../shared/args.ts";
import { clientCommand, printJson } from "../shared/client-command.ts";
import { EXIT } from "../shared/exit.ts";
import { ms, parseStatus, reasonName, styledStatus, whatHappened } from "../shared/run-text.ts";

const PAGE = 500;

export const run = clientCommand(async (server, args, terminal) => {
  const limit = limitOf(args);
  const filter = {
    statuses: args.list("status").map(parseStatus),
    workflow: args.text("workflow") ?? "",
    tags: args.pairs("tag"),
    parentRunId: args.text("parent") ?? "",
  };
  const runs: Run[] = [];
  let pageToken = "";
  do {
    const pageSize = Math.min(PAGE, limit - runs.length);
    const page = await server.runs.listRuns({ ...filter, pageSize, pageToken });
    runs.push(...page.runs);
    pageToken = page.nextPageToken;
  } while (pageToken !== "" && runs.length < limit);
  if (args.flag("json")) {
    printJson(
      terminal,
      ListRunsResponseSchema,
      create(ListRunsResponseSchema, { runs, nextPageToken: pageToken }),
    );
    return EXIT.OK;
  }
  if (runs.length === 0) {
    terminal.note("No runs match.");
    return EXIT.OK;
  }
  const rows = runs.map((run) => [
    run.runId,
    shorten(run.workflow, 30),
    styledStatus(terminal, run.status),
    formatTime(ms(run.createdAt) ?? 0),
    cutEnd(reasonName(run) || run.workerId || whatHappened(run), 60),
  ]);
  for (const line of table(terminal, ["RUN", "WORKFLOW", "STATUS", "CREATED", "DETAILS"], rows))
    terminal.out(line);
  if (pageToken !== "") terminal.note("There are more; show them with --limit N.");
  return EXIT.OK;
});
