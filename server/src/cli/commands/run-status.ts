import { GetRunResponseSchema, type JournalEntry, type Run } from "@pawl/proto";
import { systemClock } from "../../lib/clock.ts";
import { formatDuration, formatTime } from "../render/text.ts";
import { clientCommand, printJson, type Server } from "../shared/client-command.ts";
import { EXIT } from "../shared/exit.ts";
import { showPayload } from "../shared/payload-text.ts";
import { ENDED, ms, styledState, whatHappened } from "../shared/run-text.ts";
import type { Terminal } from "../shared/terminal.ts";

export const command = clientCommand({
  usage: "status ID",
  about: "Shows a run as it is now: its state, why, who has it, and its result.",
  async run(server, args, terminal) {
    const response = await server.runs.getRun({ runId: args.positional(0, "The run's id") });
    const { run } = response;
    if (args.flag("json")) printJson(terminal, GetRunResponseSchema, response);
    else if (run !== undefined) {
      const at = ENDED.has(run.state) ? "" : await whereItIs(server, run);
      for (const line of describeRun(run, terminal, at)) terminal.out(line);
    }
    return EXIT.OK;
  },
});

/** How many of a run's last entries are looked at for what it is doing. */
const TAIL_ENTRIES = 200;

/** The steps that are under way, or the last one that ended. */
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

/** The facts about a run, one per line; `at` is the step that it is at. */
export function describeRun(run: Run, terminal: Terminal, at = ""): string[] {
  const facts: [string, string][] = [];
  const add = (name: string, value: string): void => {
    if (value !== "") facts.push([name, value]);
  };
  const width = terminal.columns - 12;
  const started = ms(run.startedAt);
  const ended = ms(run.endedAt);
  add(
    "state",
    `${styledState(terminal, run.state)}${run.stateReason === "" ? "" : ` (${run.stateReason})`}`,
  );
  add("", whatHappened(run));
  add("workflow", run.version === "" ? run.workflow : `${run.workflow} @ ${run.version}`);
  add("queue", `${run.queue}, priority ${run.priority}`);
  add("created", timeOf(ms(run.createdAt)));
  add("started", timeOf(started));
  add("ended", timeOf(ended));
  if (started !== undefined && ended !== undefined) add("took", formatDuration(ended - started));
  add("at", at);
  const leased = ms(run.leaseExpiresAt);
  add(
    "worker",
    leased === undefined || run.workerId === ""
      ? run.workerId
      : `${run.workerId}, leased until ${formatTime(leased)}`,
  );
  add("attempt", run.attempt === 0 ? "" : `${run.attempt} (fence ${run.fence})`);
  add("journal", `${run.journalLength} entries`);
  if (run.undone !== undefined) {
    const keys = run.undone.unknown ? "unknown" : run.undone.stepKeys.join(", ");
    add("not undone", keys);
  }
  for (const wait of run.waits) {
    const due = ms(wait.due);
    add(
      "waits for",
      `${wait.kind} ${wait.name}${due === undefined ? "" : ` until ${formatTime(due)}`}`,
    );
  }
  add("parent", run.parent === undefined ? "" : `${run.parent.runId} (${run.parent.stepKey})`);
  add(
    "tags",
    Object.entries(run.tags)
      .map(([key, value]) => `${key}=${value}`)
      .join(" "),
  );
  add("input", showPayload(run.input, width));
  add("output", showPayload(run.output, width));
  const head = terminal.style("bold", run.runId);
  return [
    head,
    ...facts.map(([name, value]) => `  ${terminal.style("dim", name.padEnd(10))}  ${value}`),
  ];
}

function timeOf(at: number | undefined): string {
  return at === undefined ? "" : formatTime(at);
}
