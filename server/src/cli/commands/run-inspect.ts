import { create } from "@bufbuild/protobuf";
import {
  GetJournalResponseSchema,
  GetRunResponseSchema,
  type JournalEntry,
  type Run,
} from "@pawl/proto";
import { systemClock } from "../../lib/clock.ts";
import { plain } from "../../rpc/plain.ts";
import { drawTimeline } from "../render/bars.ts";
import { describeEntry } from "../render/entries.ts";
import { describeRun } from "../render/run-facts.ts";
import { formatClock, formatDuration, formatTime } from "../render/text.ts";
import { foldJournal } from "../render/timeline.ts";
import { clientCommand } from "../shared/client-command.ts";
import { EXIT } from "../shared/exit.ts";
import { showPayload } from "../shared/payload-text.ts";
import {
  ENDED,
  ms,
  readJournal,
  reasonName,
  styledStatus,
  whatHappened,
} from "../shared/run-text.ts";
import type { Terminal } from "../shared/terminal.ts";

const ROWS_MAX = 60;

export const run = clientCommand(async (server, args, terminal) => {
  const runId = args.positional(0);
  const response = await server.runs.getRun({ runId });
  const journal = await readJournal(server, runId);
  if (args.flag("json")) {
    const entries = create(GetJournalResponseSchema, { entries: journal });
    const run = plain(GetRunResponseSchema, response);
    const said = { ...run, ...plain(GetJournalResponseSchema, entries) };
    terminal.out(JSON.stringify(said, undefined, 2));
    return EXIT.OK;
  }
  if (response.run === undefined) throw new Error("The server answered without a run.");
  show(response.run, journal, args.flag("verbose"), terminal);
  return EXIT.OK;
});

function show(
  run: Run,
  journal: readonly JournalEntry[],
  verbose: boolean,
  terminal: Terminal,
): void {
  const ended = ENDED.has(run.status);
  const line = foldJournal(journal, systemClock.now(), ended);
  for (const text of verbose ? describeRun(run, terminal) : summary(run, terminal))
    terminal.out(text);
  terminal.out("");
  const rowsMax = verbose ? Number.POSITIVE_INFINITY : ROWS_MAX;
  for (const text of drawTimeline(terminal, line, { rowsMax })) terminal.out(text);
  if (line.marks.length > 0) {
    terminal.out("");
    for (const mark of line.marks) {
      const after = `+${formatDuration(mark.at - line.from)}`;
      terminal.out(`${terminal.style("dim", after.padStart(10))}  ${mark.text}`);
    }
  }
  if (!verbose) {
    if (run.output !== undefined)
      terminal.out(`\noutput  ${showPayload(run.output, terminal.columns - 8)}`);
    return;
  }
  terminal.out("");
  for (const entry of journal) {
    terminal.out(describeEntry(entry, terminal, formatClock));
    for (const line of stackOf(entry)) terminal.out(terminal.style("dim", `    ${line}`));
  }
}

/** The stack of a failure, line by line. */
function stackOf({ failure }: JournalEntry): string[] {
  return (failure?.stack ?? "").split("\n").filter((line) => line.trim() !== "");
}

function summary(run: Run, terminal: Terminal): string[] {
  const started = ms(run.startedAt);
  const end = ms(run.endedAt);
  const took =
    started !== undefined && end !== undefined ? ` in ${formatDuration(end - started)}` : "";
  const reason = reasonName(run) === "" ? "" : ` (${reasonName(run)})`;
  const lines = [
    `${terminal.style("bold", run.runId)}  ${run.workflow}  ${styledStatus(terminal, run.status)}${reason}${took}`,
  ];
  const facts = [`created ${formatTime(ms(run.createdAt) ?? 0)}`];
  if (run.attempt > 1) facts.push(`dispatched ${run.attempt} times`);
  if (run.workerId !== "") facts.push(`held by ${run.workerId}`);
  lines.push(terminal.style("dim", facts.join(" · ")));
  const why = whatHappened(run);
  if (why !== "") lines.push(why);
  return lines;
}
