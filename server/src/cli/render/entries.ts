/** Journal entries and live events as lines of a log. */
import { type Event, EventClass, type JournalEntry } from "@pawl/proto";
import { showPayload } from "../payload.ts";
import { ms } from "../runs.ts";
import type { Style, Terminal } from "../terminal.ts";
import { formatDuration } from "./text.ts";

export const LEVELS = ["debug", "info", "warn", "error"] as const;
export type Level = (typeof LEVELS)[number];

const LEVEL_STYLES: Readonly<Record<Level, Style>> = {
  debug: "dim",
  info: "blue",
  warn: "yellow",
  error: "red",
};

/** How much a type of event matters. */
export function levelOf(type: string): Level {
  switch (type) {
    case "run.failed":
    case "workflow.step.failed":
      return "error";
    case "workflow.step.retrying":
    case "run.recovered":
    case "run.paused":
    case "run.cancelling":
    case "run.cancelled":
    case "gap":
      return "warn";
    case "workflow.step.started":
    case "workflow.wait.created":
    case "workflow.waiting":
    case "commit":
      return "debug";
    default:
      return "info";
  }
}

function line(
  terminal: Terminal,
  time: string,
  level: Level,
  type: string,
  parts: readonly string[],
): string {
  const said = parts.filter((part) => part !== "").join("  ");
  const shown = terminal.style(LEVEL_STYLES[level], level.toUpperCase().padEnd(5));
  return `${terminal.style("dim", time)}  ${shown}  ${type.replace(/^workflow\./, "").padEnd(15)}  ${said}`.trimEnd();
}

export function describeEntry(
  entry: JournalEntry,
  terminal: Terminal,
  formatTime: (at: number) => string,
): string {
  const until = ms(entry.until);
  const parts = [
    entry.stepKey,
    entry.attempt > 1 ? `attempt ${entry.attempt}` : "",
    entry.outcome,
    entry.latencyMs > 0 ? formatDuration(entry.latencyMs) : "",
    entry.workerId,
    entry.failure === undefined ? "" : `${entry.failure.type}: ${entry.failure.message}`,
    until === undefined ? "" : `until ${formatTime(until)}`,
    entry.details.reason ?? "",
    showPayload(entry.payload, 60),
  ];
  const time = formatTime(ms(entry.recordedAt) ?? 0);
  return line(terminal, time, levelOf(entry.type), entry.type, parts);
}

export function describeEvent(
  event: Event,
  terminal: Terminal,
  formatTime: (at: number) => string,
): string {
  if (event.entry !== undefined) return describeEntry(event.entry, terminal, formatTime);
  const at = ms(event.sourceTimestamp) ?? ms(event.serverTimestamp);
  const parts = [event.stepKey, showPayload(event.payload, 80)];
  const live = event.class === EventClass.DELTA ? "~" : "";
  return line(
    terminal,
    at === undefined ? "" : formatTime(at),
    levelOf(event.type),
    event.type + live,
    parts,
  );
}
