/** Journal entries and live events as lines of a log. */
import { type Event, EventClass, type JournalEntry } from "@pawl/proto";
import { showPayload } from "../shared/payload-text.ts";
import { ms } from "../shared/run-text.ts";
import type { Style, Terminal } from "../shared/terminal.ts";
import { describeFailure, formatDuration } from "./text.ts";
import { outcomeName } from "./wait-outcome.ts";

export const LEVELS = ["debug", "info", "warn", "error"] as const;
export type Level = (typeof LEVELS)[number];

const LEVEL_STYLES: Readonly<Record<Level, Style>> = {
  debug: "dim",
  info: "blue",
  warn: "yellow",
  error: "red",
};

/** How much a type of event matters. */
function levelOf(type: string): Level {
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

/** What user code logged by `ctx.log`, as far as it can be read. */
export interface Logged {
  readonly level: Level;
  readonly message: string;
  readonly data: string;
}

export function loggedBy(event: Event): Logged | undefined {
  if (event.type !== "log" || event.payload === undefined) return undefined;
  try {
    const said: unknown = JSON.parse(Buffer.from(event.payload.data).toString("utf8"));
    if (typeof said !== "object" || said === null || !("message" in said)) return undefined;
    const level = LEVELS.find((one) => "level" in said && one === said.level) ?? "info";
    const data = "data" in said && said.data !== undefined ? JSON.stringify(said.data) : "";
    return { level, message: String(said.message), data };
  } catch {
    // Another SDK's form of a log line: shown as it is.
    return undefined;
  }
}

/** How much an event matters; user code says it of its own lines. */
export function levelOfEvent(event: Event): Level {
  return loggedBy(event)?.level ?? levelOf(event.type);
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
    entry.question?.prompt ?? "",
    outcomeName(entry.outcome),
    entry.details.why ?? "",
    entry.details.actor ? `by ${entry.details.actor}` : "",
    entry.details.comment ?? "",
    entry.latencyMs > 0 ? formatDuration(entry.latencyMs) : "",
    entry.workerId,
    describeFailure(entry.failure),
    until === undefined ? "" : `until ${formatTime(until)}`,
    entry.details.reason ?? "",
    showPayload(entry.payload, 60),
  ];
  const time = formatTime(ms(entry.recordedAt) ?? 0);
  return line(terminal, time, levelOf(entry.type), entry.type, parts);
}

/** Live events that are missing, in words; undefined: the event says nothing of the kind. */
export function missedBy({ type, payload }: Event): string | undefined {
  if (type !== "gap" || payload === undefined) return undefined;
  try {
    const gap: unknown = JSON.parse(Buffer.from(payload.data).toString("utf8"));
    if (typeof gap !== "object" || gap === null || !("from" in gap && "to" in gap))
      return undefined;
    const count = Number(gap.to) - Number(gap.from) + 1;
    if (!(count > 0)) return undefined;
    const what = count === 1 ? "1 live event is missing" : `${count} live events are missing`;
    return `${what}; the results of the steps are recorded all the same`;
  } catch {
    return undefined;
  }
}

export function describeEvent(
  event: Event,
  terminal: Terminal,
  formatTime: (at: number) => string,
): string {
  if (event.entry !== undefined) return describeEntry(event.entry, terminal, formatTime);
  const at = ms(event.sourceAt) ?? ms(event.at);
  const time = at === undefined ? "" : formatTime(at);
  const logged = loggedBy(event);
  const parts = [
    event.stepKey,
    logged?.message ?? missedBy(event) ?? showPayload(event.payload, 80),
    logged?.data ?? "",
  ];
  const live = event.class === EventClass.DELTA ? "~" : "";
  return line(terminal, time, levelOfEvent(event), event.type + live, parts);
}
