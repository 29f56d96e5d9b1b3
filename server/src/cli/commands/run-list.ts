import { create } from "@bufbuild/protobuf";
import { ListRunsResponseSchema, type Run } from "@pawl/proto";
import { formatTime, shorten, table } from "../render/text.ts";
import { clientCommand, printJson } from "../shared/client-command.ts";
import { EXIT } from "../shared/exit.ts";
import { ms, parseState, styledState, whatHappened } from "../shared/run-text.ts";

const LIMIT_DEFAULT = 50;
const LIMIT_MAX = 100_000;
const PAGE = 500;

export const command = clientCommand({
  usage: "list [--status STATE] [--workflow NAME] [--tag K=V] [--limit N]",
  about: "Lists runs, newest first.",
  options: {
    status: {
      type: "string",
      multiple: true,
      value: "STATE",
      help: "Only runs in this state; may be repeated.",
    },
    workflow: { type: "string", value: "NAME", help: "Only runs of this workflow." },
    tag: {
      type: "string",
      multiple: true,
      value: "K=V",
      help: "Only runs with this tag; may be repeated.",
    },
    parent: { type: "string", value: "ID", help: "Only the children of this run." },
    limit: {
      type: "string",
      short: "n",
      value: "N",
      help: `At most this many; ${LIMIT_DEFAULT} otherwise.`,
    },
  },
  examples: ["pawl list --status failed --workflow digest", "pawl list --tag team=docs --json"],
  async run(server, args, terminal) {
    const limit = args.integer("limit", 1, LIMIT_MAX) ?? LIMIT_DEFAULT;
    const filter = {
      states: args.list("status").map(parseState),
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
      terminal.note("There are no such runs.");
      return EXIT.OK;
    }
    const rows = runs.map((run) => [
      run.runId,
      shorten(run.workflow, 30),
      styledState(terminal, run.state),
      formatTime(ms(run.createdAt) ?? 0),
      shorten(run.stateReason || run.workerId || whatHappened(run), 40),
    ]);
    for (const line of table(terminal, ["RUN", "WORKFLOW", "STATE", "CREATED", ""], rows))
      terminal.out(line);
    if (pageToken !== "") terminal.note(`There are more; --limit N shows up to N of them.`);
    return EXIT.OK;
  },
});
