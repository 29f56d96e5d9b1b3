/**
 * A run while it executes: each event that is over becomes a line that remains, and below are a few
 * lines that are redrawn: steps in progress with what they stream, and open waits.
 */
import type { Event, JournalEntry } from "@pawl/proto";
import { formatPayload, showPayload } from "../shared/payload-text.ts";
import { ms } from "../shared/run-text.ts";
import type { Style, Terminal } from "../shared/terminal.ts";
import { loggedBy, missedBy } from "./entries.ts";
import { formatClock, formatDuration, formatTime, shorten, visible } from "./text.ts";
import { outcomeName } from "./wait-outcome.ts";

const BAR_WIDTH = 20;
const OPEN_ROWS_MAX = 12;
/** Of the text of a stream, only its end is ever shown. */
const TAIL_MAX = 4_096;
const SPINNER = ["⠋", "⠙", "⠹", "⠸", "⠼", "⠴", "⠦", "⠧", "⠇", "⠏"];
const SPIN_MS = 100;

interface OpenStep {
  since: number;
  attempt: number;
  /** What it has sent so far, its end. */
  text: string;
  progress: { done: number; total: number | undefined; note: string } | undefined;
  /** Set for waits. */
  wait: { kind: string; until: number | undefined } | undefined;
}

export class LiveRun {
  readonly #terminal: Terminal;
  readonly #open = new Map<string, OpenStep>();
  #state = "QUEUED";
  #done = 0;

  constructor(terminal: Terminal) {
    this.#terminal = terminal;
  }

  /** Takes an event, and returns the lines that remain on the screen. */
  take(event: Event): string[] {
    if (event.entry !== undefined) return this.#checkpoint(event.entry);
    return this.#delta(event);
  }

  /** What is in progress now. */
  frame(now: number): string[] {
    const { columns } = this.#terminal;
    const turn = SPINNER[Math.floor(now / SPIN_MS) % SPINNER.length] ?? "";
    const rows = [...this.#open].slice(-OPEN_ROWS_MAX);
    const lines = rows.flatMap(([key, step]) => this.#rows(key, step, now, turn));
    const more = this.#open.size - rows.length;
    if (more > 0) lines.unshift(`  … and ${more} more`);
    const steps = `${this.#done} ${this.#done === 1 ? "step" : "steps"} done`;
    lines.push(this.#dim(`  ${this.#state} · ${steps}`));
    return lines.map((line) => cut(line, columns - 1));
  }

  #rows(key: string, step: OpenStep, now: number, turn: string): string[] {
    const { columns } = this.#terminal;
    const { wait, progress, text } = step;
    if (wait !== undefined) {
      const until = wait.until === undefined ? "" : ` until ${formatTime(wait.until)}`;
      return [`  ${this.#style("cyan", "◷")} ${key}  ${this.#dim(`waits${until}`)}`];
    }
    const attempt = step.attempt > 1 ? `  attempt ${step.attempt}` : "";
    const since = this.#dim(formatDuration(Math.max(0, now - step.since)));
    const what = key === "" ? "(the run itself)" : key;
    const head = `  ${this.#style("blue", turn)} ${what}  ${since}${attempt}`;
    const lines = [progress === undefined ? head : `${head}  ${bar(progress)}`];
    if (text !== "") {
      const line = text.replaceAll(/\s+/g, " ");
      lines.push(`    ${this.#dim(line.slice(-Math.max(10, columns - 6)))}`);
    }
    return lines;
  }

  #delta(event: Event): string[] {
    const { type, stepKey, attempt } = event;
    const at = ms(event.sourceAt) ?? ms(event.at) ?? 0;
    switch (type) {
      case "workflow.step.started":
        this.#start(stepKey, attempt, at);
        return [];
      case "commit":
        return [];
      case "rollback": {
        this.#open.delete(stepKey);
        return [this.#line(at, "yellow", "↩", stepKey, `attempt ${attempt} is void`)];
      }
      case "progress":
        this.#start(stepKey, attempt, at).progress = progressOf(event);
        return [];
      case "log": {
        const logged = loggedBy(event);
        const said = logged?.message ?? showPayload(event.payload, 200);
        const style =
          logged?.level === "error" ? "red" : logged?.level === "warn" ? "yellow" : "dim";
        return [
          this.#line(at, style, "│", stepKey, [said, logged?.data ?? ""].join(" ").trimEnd()),
        ];
      }
      case "output.delta": {
        const step = this.#start(stepKey, attempt, at);
        step.text = (step.text + textOf(event)).slice(-TAIL_MAX);
        return [];
      }
      default: {
        const style = type === "gap" ? "yellow" : "dim";
        const said = missedBy(event) ?? showPayload(event.payload, 200);
        return [this.#line(at, style, "·", type, said)];
      }
    }
  }

  #start(key: string, attempt: number, since: number): OpenStep {
    const open = this.#open.get(key);
    if (open !== undefined && open.attempt >= attempt) return open;
    const step = { since, attempt, text: "", progress: undefined, wait: undefined };
    this.#open.set(key, step);
    if (this.#state !== "CANCELLING") this.#state = "RUNNING";
    return step;
  }

  #checkpoint(entry: JournalEntry): string[] {
    const at = ms(entry.recordedAt) ?? 0;
    const { type, stepKey, attempt, failure } = entry;
    const why = failure === undefined ? "" : `${failure.type}: ${failure.message}`;
    switch (type) {
      case "workflow.step.started":
        this.#start(stepKey, attempt, at);
        return [];
      case "workflow.step.completed": {
        this.#open.delete(stepKey);
        this.#done += 1;
        const value = showPayload(entry.payload, 200);
        return [this.#line(at, "green", "✓", stepKey, value, this.#took(entry))];
      }
      case "workflow.step.retrying": {
        this.#open.delete(stepKey);
        const until = ms(entry.until);
        const next = until === undefined ? "" : `; again at ${formatClock(until)}`;
        return [this.#line(at, "yellow", "↻", stepKey, `attempt ${attempt}: ${why}${next}`)];
      }
      case "workflow.step.failed":
        this.#open.delete(stepKey);
        return [this.#line(at, "red", "✗", stepKey, why, this.#took(entry))];
      case "workflow.wait.created": {
        const wait = { kind: entry.name, until: ms(entry.until) };
        this.#open.set(stepKey, { since: at, attempt, text: "", progress: undefined, wait });
        return [];
      }
      case "workflow.wait.resolved":
        this.#open.delete(stepKey);
        return [
          this.#line(
            at,
            "cyan",
            "◆",
            stepKey,
            `${outcomeName(entry.outcome)} ${this.#value(entry)}`,
          ),
        ];
      case "workflow.waiting":
        this.#state = "WAITING";
        return [];
      default:
        return this.#run(entry, at, why);
    }
  }

  #run(entry: JournalEntry, at: number, why: string): string[] {
    const style = RUN_STYLES[entry.type] ?? "dim";
    this.#state = RUN_STATES[entry.type] ?? this.#state;
    if (RUN_ENDS.has(entry.type)) this.#open.clear();
    if (entry.type === "run.cancelling") this.#dropWaits();
    const reason = entry.details.reason ?? "";
    const facts = [why, why.includes(reason) ? "" : reason, entry.workerId];
    const said = facts.filter((one) => one !== "");
    const name = entry.type.startsWith("run.") ? entry.type : entry.type.replace("workflow.", "");
    const what = entry.stepKey === "" ? name : `${name} ${entry.stepKey}`;
    const value = RUN_ENDS.has(entry.type) ? "" : this.#value(entry);
    return [this.#line(at, style, "■", what, [...said, value].join("  ").trimEnd())];
  }

  /** A run that is cancelled waits for nothing any more. */
  #dropWaits(): void {
    for (const [key, { wait }] of this.#open) if (wait !== undefined) this.#open.delete(key);
  }

  #took(entry: JournalEntry): string {
    return entry.latencyMs > 0 ? this.#dim(formatDuration(entry.latencyMs).padStart(8)) : "";
  }

  #value(entry: JournalEntry): string {
    return showPayload(entry.payload, 200);
  }

  #line(at: number, style: Style, mark: string, what: string, said: string, took = ""): string {
    const flat = said.replaceAll(/\s+/g, " ");
    const parts = [
      this.#dim(formatClock(at)),
      this.#style(style, mark),
      what,
      took,
      this.#dim(flat),
    ];
    const line = parts.filter((part) => part !== "").join("  ");
    return cut(line, this.#terminal.columns - 1);
  }

  #dim(text: string): string {
    return text === "" ? "" : this.#style("dim", text);
  }

  #style(style: Style, text: string): string {
    return this.#terminal.style(style, text);
  }
}

const RUN_STYLES: Readonly<Record<string, Style>> = {
  "run.started": "blue",
  "run.completed": "green",
  "run.failed": "red",
  "run.cancelled": "magenta",
  "run.paused": "yellow",
  "run.recovered": "yellow",
};
const RUN_STATES: Readonly<Record<string, string>> = {
  "run.paused": "PAUSED",
  "run.resumed": "QUEUED",
  "run.retried": "QUEUED",
  "run.cancelling": "CANCELLING",
  "run.completed": "COMPLETED",
  "run.failed": "FAILED",
  "run.cancelled": "CANCELLED",
};
const RUN_ENDS = new Set(["run.completed", "run.failed", "run.cancelled"]);

/** A streamed item: text as it is, anything else as JSON. */
function textOf(event: Event): string {
  if (event.payload === undefined) return "";
  const shown = formatPayload(event.payload);
  try {
    const value: unknown = JSON.parse(shown);
    return typeof value === "string" ? value : `${shown} `;
  } catch {
    // Not JSON: what can be said about it.
    return `${shown} `;
  }
}

function progressOf(event: Event): OpenStep["progress"] {
  try {
    const said: unknown = JSON.parse(Buffer.from(event.payload?.data ?? []).toString("utf8"));
    if (typeof said !== "object" || said === null || !("done" in said)) return undefined;
    const total = "total" in said && said.total !== undefined ? Number(said.total) : undefined;
    const note = "note" in said && said.note !== undefined ? String(said.note) : "";
    return { done: Number(said.done), total, note };
  } catch {
    // Another SDK's form of progress.
    return undefined;
  }
}

function bar({ done, total, note }: NonNullable<OpenStep["progress"]>): string {
  if (total === undefined || !(total > 0)) return `${done} ${note}`.trimEnd();
  const part = Math.min(1, Math.max(0, done / total));
  const full = Math.round(part * BAR_WIDTH);
  const drawn = `${"█".repeat(full)}${"░".repeat(BAR_WIDTH - full)}`;
  return `${drawn} ${Math.floor(part * 100)}%  ${done}/${total}  ${note}`.trimEnd();
}

/** A line of at most `width` characters. */
function cut(line: string, width: number): string {
  if (visible(line) <= width) return line;
  const ends = line.lastIndexOf("\u001b[");
  if (ends < 0) return shorten(line, width);
  // The last part is dim text: cut it, and keep the reset after it.
  const over = visible(line) - width + 1;
  const text = line.slice(0, ends);
  return `${text.slice(0, Math.max(0, text.length - over))}…${line.slice(ends)}`;
}
