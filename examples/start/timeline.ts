/** The picture of a run: a line per step, with a bar for the time in which it ran. */
import type { History, Span, StepHistory } from "./history.ts";
import { clip, count, fit, fitPath, paint, type Style, width } from "./screen.ts";

/** Columns of what stands beside the bars. */
const nameColumns = 8;
const workerColumns = 8;
const howColumns = 14;
/** Longer runs leave out steps of which there are many alike. */
const rowsMax = 28;

export interface TimelineOptions {
  readonly history: History;
  /** When the worker was killed, in ms since the epoch. */
  readonly killedMs: number;
  readonly killedWorker: string;
}

/** The lines of the picture. */
export function drawTimeline({ history, killedMs, killedWorker }: TimelineOptions): string[] {
  const { steps, startMs, endMs } = history;
  const rows = chooseRows(steps);
  const groups = rows.map((i) => steps[i]?.group.length ?? 0);
  const groupColumns = Math.min(24, Math.max(4, ...groups));
  const fixed = 2 + groupColumns + 1 + nameColumns + 2 + 2 + workerColumns + 1 + howColumns;
  const scale = new Scale(startMs, endMs, Math.max(10, width - fixed));
  const killColumn = scale.column(killedMs);
  const margin = " ".repeat(2 + groupColumns + 1 + nameColumns + 2);

  const row = (step: StepHistory, previous: StepHistory | undefined): string => {
    const group = step.group === previous?.group ? "" : step.group;
    const cells = new Array<string>(scale.columns).fill(" ");
    cells[killColumn] = paint("red", "╎");
    if (step.lost !== undefined) {
      const fromMs = Math.min(step.lost.fromMs, killedMs);
      fill(cells, scale, { ...step.lost, fromMs, toMs: killedMs }, paint("red", "░"));
    }
    const isKilled = step.recorded.workerId === killedWorker;
    const style: Style = isKilled ? "yellow" : "green";
    fill(cells, scale, step.recorded, paint(style, isKilled ? "▓" : "█"));
    const worker = paint(style, fit(step.recorded.workerId, workerColumns));
    const label = `${fitPath(group, groupColumns)} ${fit(step.name, nameColumns)}`;
    return `  ${label}  ${cells.join("")}  ${worker} ${describe(step)}`.trimEnd();
  };

  const lines = [`${margin}${scale.ruler()}  ${paint("dim", "ran on   how")}`];
  const mark = "kill -9 ";
  const indent = killColumn >= mark.length ? killColumn - mark.length : killColumn;
  const arrow = killColumn >= mark.length ? `${mark}╎` : `╎ ${mark}`;
  lines.push(`${margin}${" ".repeat(indent)}${paint("red", arrow)}`.trimEnd());
  let last: number | undefined;
  for (const i of rows) {
    const step = steps[i];
    const skipped = i - (last ?? -1) - 1;
    if (skipped > 0) lines.push(paint("dim", `  ⋮ ${count(skipped, "step")}`));
    if (step !== undefined) lines.push(row(step, steps[last ?? -1]));
    last = i;
  }
  return lines;
}

/** How often a step ran, in words. */
function describe(step: StepHistory): string {
  if (step.replayed) return clip("once, replayed", howColumns);
  if (step.lost !== undefined) return paint("red", clip("cut off, again", howColumns));
  return "once";
}

/** The places of all steps; of many, those around the kill, the first and the last. */
function chooseRows(steps: readonly StepHistory[]): number[] {
  const all = [...steps.keys()];
  if (steps.length <= rowsMax) return all;
  const firstAfter = steps.findIndex((step) => !step.replayed);
  const centre = firstAfter < 0 ? Math.floor(steps.length / 2) : firstAfter;
  const edge = 4;
  const from = Math.max(edge, centre - Math.floor((rowsMax - 2 * edge) / 2));
  const to = Math.min(steps.length - edge, from + rowsMax - 2 * edge);
  return all.filter((i) => i < edge || (i >= from && i < to) || i >= steps.length - edge);
}

/** Between two labels of the ruler, in s. */
const intervals = [0.1, 0.2, 0.5, 1, 2, 5, 10, 20, 30, 60, 120, 300, 600];
const labelColumns = 7;

/** Where moments are among the columns. */
class Scale {
  readonly columns: number;
  readonly #startMs: number;
  readonly #msPerColumn: number;

  constructor(startMs: number, endMs: number, columns: number) {
    this.columns = columns;
    this.#startMs = startMs;
    this.#msPerColumn = Math.max(1, endMs - startMs) / columns;
  }

  column(ms: number): number {
    const column = Math.floor((ms - this.#startMs) / this.#msPerColumn);
    return Math.min(this.columns - 1, Math.max(0, column));
  }

  /** Seconds, as many as there is room for. */
  ruler(): string {
    const perSecond = 1_000 / this.#msPerColumn;
    const step = intervals.find((interval) => interval * perSecond >= labelColumns) ?? 1_800;
    let line = "";
    for (let n = 0; ; n++) {
      const label = `${(n * step).toFixed(step < 1 ? 1 : 0)} s`;
      const at = Math.round(n * step * perSecond);
      if (at + label.length > this.columns) break;
      line = line.padEnd(at) + label;
    }
    return paint("dim", line.padEnd(this.columns));
  }
}

function fill(cells: string[], scale: Scale, span: Span, mark: string): void {
  for (let i = scale.column(span.fromMs); i <= scale.column(span.toMs); i++) cells[i] = mark;
}

/** The meaning of the marks. */
export function legend(killedWorker: string, survivor: string): string {
  const ran = (style: Style, mark: string, worker: string) => `${paint(style, mark)} ${worker}`;
  return `  ${ran("yellow", "▓▓", killedWorker)}   ${paint("red", "░░")} cut off by the kill   ${ran("green", "██", survivor)}`;
}
