import { GetRunResponseSchema, type JournalEntry, type Run } from "@pawl/proto";
import { systemClock } from "../../lib/clock.ts";
import { describeRun } from "../render/run-facts.ts";
import { formatDuration } from "../render/text.ts";
import { clientCommand, printJson, type Server } from "../shared/client-command.ts";
import { EXIT } from "../shared/exit.ts";
import { ENDED, ms } from "../shared/run-text.ts";

export const run = clientCommand(async (server, args, terminal) => {
  const response = await server.runs.getRun({ runId: args.positional(0) });
  const { run } = response;
  if (args.flag("json")) printJson(terminal, GetRunResponseSchema, response);
  else if (run !== undefined) {
    const at = ENDED.has(run.status) ? "" : await whereItIs(server, run);
    for (const line of describeRun(run, terminal, at)) terminal.out(line);
  }
  return EXIT.OK;
});

/** How many of a run's last entries are read to find the step that it is at. */
const TAIL_ENTRIES = 200;

/** The steps in progress, or the last one that ended. */
async function whereItIs(server: Server, { runId, journalLength }: Run): Promise<string> {
  const afterSeq = Math.max(0, journalLength - TAIL_ENTRIES);
  const { entries } = await server.runs.getJournal({ runId, afterSeq, pageSize: TAIL_ENTRIES });
  const open = new Map<string, JournalEntry>();
  let last: JournalEntry | undefined;
  for (const entry of entries) {
    if (!entry.type.startsWith("workflow.step.")) continue;
    if (entry.type === "workflow.step.started") open.set(entry.stepKey, entry);
    else open.delete(entry.stepKey);
    if (entry.type === "workflow.step.completed") last = entry;
  }
  const ago = (entry: JournalEntry): string =>
    formatDuration(systemClock.now() - (ms(entry.recordedAt) ?? 0));
  if (open.size > 0) {
    return [...open.values()]
      .map((entry) => `${entry.stepKey}, attempt ${entry.attempt}, for ${ago(entry)}`)
      .join("; ");
  }
  return last === undefined ? "" : `after ${last.stepKey}, which ended ${ago(last)} ago`;
}
