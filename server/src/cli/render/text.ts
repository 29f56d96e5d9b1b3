/** Times, durations and tables in text. */
import type { Failure } from "@pawl/proto";
import type { Terminal } from "../shared/terminal.ts";

/** `850 µs`, `12 ms`, `3.4 s`, `5 min 10 s`, `2 h 5 min`, `3 d 4 h`. */
export function formatDuration(ms: number): string {
  if (ms < 0) return "0 ms";
  if (ms < 1 && ms > 0) return `${Math.round(ms * 1_000)} µs`;
  if (ms < 1_000) return `${Math.round(ms)} ms`;
  if (ms < 60_000) return `${(ms / 1_000).toFixed(1)} s`;
  const seconds = Math.round(ms / 1_000);
  if (seconds < 3_600) return `${Math.floor(seconds / 60)} min ${seconds % 60} s`;
  const minutes = Math.round(seconds / 60);
  if (minutes < 1_440) return `${Math.floor(minutes / 60)} h ${minutes % 60} min`;
  const hours = Math.round(minutes / 60);
  return `${Math.floor(hours / 24)} d ${hours % 24} h`;
}

/** `TypeError: x is not a function`. */
export function describeFailure(failure: Failure | undefined): string {
  if (failure === undefined) return "";
  const { type, message } = failure;
  return message === "" ? type : `${type}: ${message}`;
}

/** The local date and time, to the second. */
export function formatTime(at: number): string {
  const date = new Date(at);
  return `${day(date)} ${clock(date)}`;
}

/** The local time of day, to the millisecond. */
export function formatClock(at: number): string {
  const date = new Date(at);
  return `${clock(date)}.${String(date.getMilliseconds()).padStart(3, "0")}`;
}

function day(date: Date): string {
  return `${date.getFullYear()}-${two(date.getMonth() + 1)}-${two(date.getDate())}`;
}

function clock(date: Date): string {
  return `${two(date.getHours())}:${two(date.getMinutes())}:${two(date.getSeconds())}`;
}

function two(value: number): string {
  return String(value).padStart(2, "0");
}

/** `text` in at most `width` characters; the middle of what is too long goes. */
export function shorten(text: string, width: number): string {
  if (text.length <= width) return text;
  if (width < 4) return text.slice(0, Math.max(0, width));
  const tail = Math.floor((width - 1) / 3);
  return `${text.slice(0, width - 1 - tail)}…${text.slice(text.length - tail)}`;
}

/** `text` in at most `width` characters; the end of what is too long goes. */
export function cutEnd(text: string, width: number): string {
  return text.length <= width ? text : `${text.slice(0, Math.max(0, width - 1))}…`;
}

/**
 * Lines of at most `width` characters, broken at blanks. A word that is longer stays whole; lines
 * after the first begin with `indent`.
 */
export function wrap(text: string, width: number, indent = ""): string[] {
  const lines: string[] = [];
  let line = /^ */.exec(text)?.[0] ?? "";
  let isEmpty = true;
  for (const word of text.trim().split(" ")) {
    if (!isEmpty && line.length + 1 + word.length > width) {
      lines.push(line);
      line = indent;
      isEmpty = true;
    }
    line += isEmpty ? word : ` ${word}`;
    isEmpty = false;
  }
  return [...lines, line];
}

/** Columns by two spaces, each as wide as its widest cell; the last one is not padded. */
export function table(
  terminal: Terminal,
  head: readonly string[],
  rows: readonly (readonly string[])[],
): string[] {
  const widths = head.map((title, column) =>
    Math.max(title.length, ...rows.map((row) => visible(row[column] ?? ""))),
  );
  const line = (cells: readonly string[]): string =>
    cells
      .map((cell, column) => cell + " ".repeat(Math.max(0, (widths[column] ?? 0) - visible(cell))))
      .join("  ")
      .trimEnd();
  return [terminal.style("dim", line(head)), ...rows.map(line)];
}

/** Characters shown: without the escape sequences of colors. */
export function visible(text: string): number {
  return text.replaceAll(ESCAPES, "").length;
}

// biome-ignore lint/suspicious/noControlCharactersInRegex: escape sequences begin with one.
const ESCAPES = /\u001b\[[0-9;]*m/g;
