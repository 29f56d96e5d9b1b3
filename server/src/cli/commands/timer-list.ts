import { create } from "@bufbuild/protobuf";
import {
  CancelWaitResponseSchema,
  ListWaitsResponseSchema,
  type Wait,
  WaitKind,
} from "@pawl/proto";
import { systemClock } from "../../lib/clock.ts";
import { formatDuration, formatTime, shorten, table } from "../render/text.ts";
import { type Args, limitOf } from "../shared/args.ts";
import { clientCommand, printJson, type Server } from "../shared/client-command.ts";
import { EXIT } from "../shared/exit.ts";
import { actorOf, findWait, listWaits } from "../shared/open-waits.ts";
import { ms } from "../shared/run-text.ts";
import type { Terminal } from "../shared/terminal.ts";

export const run = clientCommand(async (server, args, terminal) => {
  const cancel = args.text("cancel");
  return cancel === undefined
    ? await list(server, args, terminal)
    : await cancelTimer(server, cancel, args, terminal);
});

async function list(server: Server, args: Args, terminal: Terminal): Promise<number> {
  const filter = {
    kinds: [WaitKind.SLEEP],
    workflow: args.text("workflow") ?? "",
    runId: args.text("run") ?? "",
  };
  const limit = limitOf(args);
  const { waits, more } = await listWaits(server, filter, limit);
  if (args.flag("json")) {
    printJson(terminal, ListWaitsResponseSchema, create(ListWaitsResponseSchema, { waits }));
  } else if (waits.length === 0) {
    terminal.note("No timers.");
  } else {
    const now = systemClock.now();
    const rows = waits.map((wait) => rowOf(wait, now));
    for (const line of table(terminal, ["RUN", "WORKFLOW", "TIMER", "DUE", "IN", ""], rows))
      terminal.out(line);
    if (more) terminal.note("There are more; show them with --limit N.");
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
  const { waitId } = await findWait(server, typed, [WaitKind.SLEEP]);
  const response = await server.waits.cancelWait({
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
