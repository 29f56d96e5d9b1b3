/** The timeline drawn with characters: one line per step, one bar per attempt. */
import { StepKind } from "@pawl/proto";
import type { Style, Terminal } from "../shared/terminal.ts";
import { formatDuration, shorten } from "./text.ts";
import type { Row, SpanKind, Timeline } from "./timeline.ts";

const GLYPHS: Readonly<Record<SpanKind, { readonly glyph: string; readonly style: Style }>> = {
  done: { glyph: "█", style: "green" },
  failed: { glyph: "▓", style: "red" },
  cancelled: { glyph: "▚", style: "magenta" },
  lost: { glyph: "▒", style: "yellow" },
  running: { glyph: "▶", style: "blue" },
  waiting: { glyph: "░", style: "cyan" },
  backoff: { glyph: "·", style: "dim" },
};

const LEGEND: readonly (readonly [SpanKind, string])[] = [
  ["done", "completed"],
  ["failed", "failed attempt"],
  ["cancelled", "stopped by a cancel"],
  ["lost", "lost with its worker"],
  ["running", "running"],
  ["waiting", "waiting"],
  ["backoff", "until the next attempt"],
];

const NAME_MAX = 32;
const WORKER_MAX = 16;
const BAR_MIN = 16;

export interface BarOptions {
  /** Rows beyond are counted instead of drawn. */
  readonly rowsMax: number;
}

export function drawTimeline(terminal: Terminal, line: Timeline, options: BarOptions): string[] {
  const rows = line.rows.slice(0, options.rowsMax);
  if (rows.length === 0) return [terminal.style("dim", "No steps have been recorded.")];
  const right = columns(rows.map(facts));
  const nameWidth = Math.min(NAME_MAX, Math.max(...rows.map((row) => label(row).length)));
  const factWidth = Math.max(...right.map((text) => text.length));
  const width = Math.max(BAR_MIN, terminal.columns - nameWidth - factWidth - 4);
  const lines = [`${" ".repeat(nameWidth + 2)}${axis(terminal, line, width)}`];
  rows.forEach((row, index) => {
    const name = shorten(label(row), nameWidth).padEnd(nameWidth);
    lines.push(`${name}  ${bar(terminal, row, line, width)}  ${right[index] ?? ""}`.trimEnd());
    if (row.error !== "") {
      const error = shorten(row.error.replaceAll(/\s+/g, " "), terminal.columns - nameWidth - 4);
      lines.push(`${" ".repeat(nameWidth + 2)}${terminal.style("red", error)}`);
    }
  });
  const hidden = line.rows.length - rows.length;
  if (hidden > 0)
    lines.push(terminal.style("dim", `… and ${hidden} more; show all with --verbose.`));
  lines.push("", legend(terminal, rows));
  return lines;
}

const KIND_SIGNS: Readonly<Record<number, string>> = {
  [StepKind.SLEEP]: "⏲ ",
  [StepKind.SIGNAL]: "✉ ",
  [StepKind.CHILD]: "↳ ",
  [StepKind.USER]: "? ",
  [StepKind.CALLBACK]: "↩ ",
};

/** Outcomes of a wait that are worth a note: exceptional ones, and those that a person caused. */
const TOLD = new Set(["timed_out", "cancelled", "answered", "skipped"]);

function label(row: Row): string {
  const last = row.key.split("/").at(-1) ?? row.key;
  const name = unescaped(last.replace(/^(sleep|signal|child|value|user|callback):/, ""));
  const scope = row.kind === StepKind.UNSPECIFIED ? "/" : "";
  return `${"  ".repeat(Math.min(row.depth, 6))}${KIND_SIGNS[row.kind] ?? ""}${name}${scope}`;
}

/** A name as the code gave it. A key that is not escaped by the rules is shown as it is. */
function unescaped(name: string): string {
  try {
    return decodeURIComponent(name);
  } catch {
    return name;
  }
}

/** How long it took, which workers executed it, and notes. */
function facts(row: Row): [string, string, string] {
  if (row.spans.length === 0) return ["", "", ""];
  const worked = row.spans.filter(({ kind }) => kind !== "backoff");
  const total = worked.reduce((sum, span) => sum + span.to - span.from, 0);
  const workers = [...new Set(worked.map(({ worker }) => worker).filter((id) => id !== ""))];
  const attempts = worked.filter(({ kind }) => kind !== "waiting").length;
  const notes: string[] = [];
  if (attempts > 1) notes.push(`${attempts} attempts`);
  if (TOLD.has(row.outcome))
    notes.push(row.by === "" ? row.outcome : `${row.outcome} by ${row.by}`);
  if (row.superseded) notes.push("will be executed again");
  return [
    formatDuration(total),
    workers.map((id) => shorten(id, WORKER_MAX)).join(" → "),
    notes.join(", "),
  ];
}

/** The three facts of every row, under one another. */
function columns(rows: readonly (readonly [string, string, string])[]): string[] {
  const wide = (column: 0 | 1): number => Math.max(...rows.map((row) => row[column].length));
  const [took, worker] = [wide(0), wide(1)];
  return rows.map(([a, b, c]) => `${a.padStart(took)}  ${b.padEnd(worker)}  ${c}`.trimEnd());
}

/** A cell shows what took most of its time; every span has at least one. */
function bar(terminal: Terminal, row: Row, line: Timeline, width: number): string {
  const cells: (SpanKind | undefined)[] = new Array<SpanKind | undefined>(width).fill(undefined);
  const scale = width / (line.to - line.from);
  const ordered = [...row.spans].sort((a, b) => b.to - b.from - (a.to - a.from));
  for (const span of ordered) {
    const first = Math.min(width - 1, Math.max(0, Math.floor((span.from - line.from) * scale)));
    const last = Math.min(width, Math.max(first + 1, Math.round((span.to - line.from) * scale)));
    cells.fill(span.kind, first, last);
  }
  let text = "";
  for (let at = 0; at < width; ) {
    const kind = cells[at];
    let end = at + 1;
    while (end < width && cells[end] === kind) end += 1;
    const shown = kind === undefined ? undefined : GLYPHS[kind];
    text +=
      shown === undefined
        ? " ".repeat(end - at)
        : terminal.style(shown.style, shown.glyph.repeat(end - at));
    at = end;
  }
  return text;
}

/** Times from the start, at about every quarter. */
function axis(terminal: Terminal, line: Timeline, width: number): string {
  const marks = width >= 60 ? 4 : width >= 30 ? 2 : 1;
  let text = "0";
  for (let mark = 1; mark <= marks; mark++) {
    const said = formatDuration(((line.to - line.from) * mark) / marks);
    const column = Math.round((width * mark) / marks);
    const start = mark === marks ? width - said.length : column - Math.floor(said.length / 2);
    if (start > text.length) text = text.padEnd(start) + said;
  }
  return terminal.style("dim", text);
}

function legend(terminal: Terminal, rows: readonly Row[]): string {
  const used = new Set(rows.flatMap((row) => row.spans.map(({ kind }) => kind)));
  return LEGEND.filter(([kind]) => used.has(kind))
    .map(([kind, meaning]) => {
      const { glyph, style } = GLYPHS[kind];
      return `${terminal.style(style, glyph.repeat(2))} ${meaning}`;
    })
    .join("   ");
}
