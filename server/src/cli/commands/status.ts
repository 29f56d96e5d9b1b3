import { GetRunResponseSchema, type Run } from "@pawl/proto";
import { clientCommand, printJson } from "../client.ts";
import { EXIT } from "../exit.ts";
import { showPayload } from "../payload.ts";
import { formatDuration, formatTime } from "../render/text.ts";
import { ms, styledState, whatHappened } from "../runs.ts";
import type { Terminal } from "../terminal.ts";

export const command = clientCommand({
  usage: "status ID",
  about: "Shows a run as it is now: its state, why, who has it, and its result.",
  async run(server, args, terminal) {
    const response = await server.runs.getRun({ runId: args.positional(0, "The run's id") });
    if (args.flag("json")) printJson(terminal, GetRunResponseSchema, response);
    else if (response.run !== undefined)
      for (const line of describeRun(response.run, terminal)) terminal.out(line);
    return EXIT.OK;
  },
});

/** The facts about a run, one per line. */
export function describeRun(run: Run, terminal: Terminal): string[] {
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
  add("worker", run.workerId);
  add("attempt", run.attempt === 0 ? "" : `${run.attempt} (fence ${run.fence})`);
  add("journal", `${run.journalLength} entries`);
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
    ...facts.map(([name, value]) => `  ${terminal.style("dim", name.padEnd(9))}  ${value}`),
  ];
}

function timeOf(at: number | undefined): string {
  return at === undefined ? "" : formatTime(at);
}
