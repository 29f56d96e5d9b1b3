import { create } from "@bufbuild/protobuf";
import {
  CancelWaitResponseSchema,
  ListWaitsResponseSchema,
  StepKind,
  type Wait,
} from "@pawl/proto";
import { systemClock } from "../../lib/clock.ts";
import { formatDuration, formatTime, shorten, table } from "../render/text.ts";
import type { Args } from "../shared/args.ts";
import { clientCommand, printJson, type Server } from "../shared/client-command.ts";
import { EXIT } from "../shared/exit.ts";
import { ACTOR_OPTION, actorOf, findWait, listWaits } from "../shared/open-waits.ts";
import { ms } from "../shared/run-text.ts";
import type { Terminal } from "../shared/terminal.ts";

const LIMIT_DEFAULT = 50;
const LIMIT_MAX = 100_000;

export const command = clientCommand({
  usage: "timers [--workflow NAME] [--run ID] [--limit N] [--cancel WAIT_ID]",
  about:
    "Lists the sleeps of runs and when they end; those that are over within two seconds are left\n" +
    "out. --cancel ends one: the run gets WaitCancelledError.",
  options: {
    workflow: { type: "string", value: "NAME", help: "Only runs of this workflow." },
    run: { type: "string", value: "ID", help: "Only this run." },
    limit: {
      type: "string",
      short: "n",
      value: "N",
      help: `At most this many; ${LIMIT_DEFAULT} otherwise.`,
    },
    cancel: {
      type: "string",
      value: "WAIT_ID",
      help: "Cancel this timer; the run's id will do where it has one.",
    },
    comment: { type: "string", value: "TEXT", help: "Why it is cancelled, for the record." },
    ...ACTOR_OPTION,
  },
  examples: ["pawl timers --workflow reminder", "pawl timers --cancel reminder-ada"],
  async run(server, args, terminal) {
    const cancel = args.text("cancel");
    return cancel === undefined
      ? await list(server, args, terminal)
      : await cancelTimer(server, cancel, args, terminal);
  },
});

async function list(server: Server, args: Args, terminal: Terminal): Promise<number> {
  const filter = {
    kinds: [StepKind.SLEEP],
    workflow: args.text("workflow") ?? "",
    runId: args.text("run") ?? "",
  };
  const limit = args.integer("limit", 1, LIMIT_MAX) ?? LIMIT_DEFAULT;
  const { waits, more } = await listWaits(server, filter, limit);
  if (args.flag("json")) {
    printJson(terminal, ListWaitsResponseSchema, create(ListWaitsResponseSchema, { waits }));
  } else if (waits.length === 0) {
    terminal.note("No run sleeps.");
  } else {
    const now = systemClock.now();
    const rows = waits.map((wait) => rowOf(wait, now));
    for (const line of table(terminal, ["RUN", "WORKFLOW", "TIMER", "DUE", "IN", ""], rows))
      terminal.out(line);
    if (more) terminal.note("There are more; --limit N shows up to N of them.");
  }
  return EXIT.OK;
}

function rowOf(wait: Wait, now: number): string[] {
  const due = ms(wait.due);
  const zone = wait.timeZone === "" ? "UTC" : wait.timeZone;
  return [
    wait.runId,
    shorten(wait.workflow, 30),
    wait.stepKey,
    due === undefined ? "" : formatTime(due),
    due === undefined ? "" : formatDuration(due - now),
    wait.cron === "" ? "" : `${wait.cron} (${zone})`,
  ];
}

async function cancelTimer(
  server: Server,
  typed: string,
  args: Args,
  terminal: Terminal,
): Promise<number> {
  const { waitId } = await findWait(server, typed, [StepKind.SLEEP]);
  const response = await server.signals.cancelWait({
    waitId,
    actor: actorOf(args, terminal),
    comment: args.text("comment") ?? "",
  });
  if (args.flag("json")) {
    printJson(terminal, CancelWaitResponseSchema, response);
  } else {
    terminal.out(waitId);
    terminal.note("Cancelled.");
  }
  return EXIT.OK;
}
