import { type Event, type Run, RunStatus } from "@pawl/proto";
import { systemClock } from "../../lib/clock.ts";
import { describeEvent, levelOfEvent } from "../render/entries.ts";
import { LiveRun } from "../render/live.ts";
import { formatClock } from "../render/text.ts";
import { clientCommand, type Server } from "../shared/client-command.ts";
import { breakNotes, eventJson } from "../shared/event-lines.ts";
import { EXIT } from "../shared/exit.ts";
import { type Follow, followRun, isTerminal } from "../shared/follow-run.ts";
import { goesOnAfterInterrupt } from "../shared/interrupt.ts";
import { formatPayload } from "../shared/payload-text.ts";
import { download, styledStatus, whatHappened } from "../shared/run-text.ts";
import type { Terminal } from "../shared/terminal.ts";

const REDRAW_MS = 100;

export const run = clientCommand(async (server, args, terminal) => {
  const runId = args.positional(0);
  goesOnAfterInterrupt(runId, terminal);
  const waitForStart = args.flag("wait-for-start");
  const includeChildren = args.flag("children");
  const onBreak = breakNotes(terminal, server);
  const follow = { runId, waitForStart, includeChildren, onBreak };
  const json = args.flag("json");
  const lines = !terminal.interactive || includeChildren;
  if (json) await watchLines(server, follow, (event) => terminal.out(eventJson(event)));
  else if (lines) await watchLines(server, follow, (event) => printLine(event, runId, terminal));
  else await watchLive(server, follow, terminal);
  const { run } = await server.runs.getRun({ runId });
  if (run === undefined) throw new Error("The server answered without a run.");
  if (!json) await showEnd(server, run, terminal);
  return run.status === RunStatus.COMPLETED ? EXIT.OK : EXIT.RUN_FAILED;
});

function printLine(event: Event, runId: string, terminal: Terminal): void {
  if (levelOfEvent(event) === "debug") return;
  const line = describeEvent(event, terminal, formatClock);
  terminal.out(event.runId === runId ? line : `${line}  ${terminal.style("dim", event.runId)}`);
}

async function watchLines(
  server: Server,
  follow: Follow,
  print: (event: Event) => void,
): Promise<void> {
  for await (const events of followRun(server, follow)) events.forEach(print);
}

async function watchLive(server: Server, follow: Follow, terminal: Terminal): Promise<void> {
  const live = new LiveRun(terminal);
  terminal.out(terminal.style("bold", follow.runId));
  const draw = (): void => terminal.area(live.frame(systemClock.now()));
  const timer = setInterval(draw, REDRAW_MS);
  try {
    for await (const events of followRun(server, follow)) {
      for (const line of events.flatMap((event) => live.take(event))) terminal.out(line);
      if (!events.some((event) => isTerminal(event, follow.runId))) draw();
    }
  } finally {
    clearInterval(timer);
    terminal.area([]);
  }
}

async function showEnd(server: Server, run: Run, terminal: Terminal): Promise<void> {
  const why = whatHappened(run);
  terminal.note(`${styledStatus(terminal, run.status)}${why === "" ? "" : `. ${why}`}`);
  if (run.output !== undefined && run.output.encoding !== "void") {
    terminal.out(formatPayload(await download(server, run.output)));
  }
}
