/** The facts about a run, as text. */
import { type Run, RunStatus, WaitKind } from "@pawl/proto";
import { showPayload } from "../shared/payload-text.ts";
import { ms, reasonName, styledStatus, whatHappened } from "../shared/run-text.ts";
import type { Terminal } from "../shared/terminal.ts";
import { formatDuration, formatTime } from "./text.ts";

/** One fact per line; `at` is the step that the run is at. */
export function describeRun(run: Run, terminal: Terminal, at = ""): string[] {
  const facts: [string, string][] = [];
  const add = (name: string, value: string): void => {
    if (value !== "") facts.push([name, value]);
  };
  const width = terminal.columns - 12;
  const started = ms(run.startedAt);
  const ended = ms(run.endedAt);
  const reason = reasonName(run);
  add("status", `${styledStatus(terminal, run.status)}${reason === "" ? "" : ` (${reason})`}`);
  // The waits below say the same.
  if (run.status !== RunStatus.WAITING || run.waits.length === 0) add("", whatHappened(run));
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
  add("journal", `${run.journalLength} ${run.journalLength === 1 ? "entry" : "entries"}`);
  if (run.undone !== undefined) {
    const keys = run.undone.unknown ? "unknown" : run.undone.stepKeys.join(", ");
    add("not undone", keys);
  }
  for (const wait of run.waits) {
    const due = ms(wait.due);
    add(
      "waits for",
      `${WaitKind[wait.kind].toLowerCase()} ${wait.name}${due === undefined ? "" : ` until ${formatTime(due)}`}`,
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
