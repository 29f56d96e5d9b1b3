import { cpus, totalmem } from "node:os";
import { targets } from "./targets.ts";

export interface Result {
  name: string;
  value: number;
  /** `steps/s`, `calls/s`, `ms`, `MB`, `ratio`. */
  unit: string;
}

/** The machine, as far as it explains the figures. */
export interface Machine {
  cpu: string;
  cores: number;
  memoryMb: number;
  platform: string;
  node: string;
  /** The median time of writing 8 KiB and an fsync, where the embedded store's file lies. */
  fsyncMs: number;
}

export function describeMachine(fsyncMs: number): Machine {
  const cores = cpus();
  return {
    cpu: cores[0]?.model ?? "unknown",
    cores: cores.length,
    memoryMb: Math.round(totalmem() / 1e6),
    platform: `${process.platform} ${process.arch}`,
    node: process.version,
    fsyncMs: round(fsyncMs),
  };
}

/** The results, each with its target beside it; `all`: also those that targets refer to. */
export function formatResults(results: readonly Result[], all: readonly Result[]): string {
  const byName = new Map(all.map((result) => [result.name, result.value]));
  const rows = results.map(({ name, value, unit }) => [
    name,
    formatNumber(value),
    unit,
    judge(name, value, byName),
  ]);
  return formatTable(["result", "value", "unit", "target"], rows);
}

/** What the target is and whether it is met, in words. */
function judge(name: string, value: number, all: ReadonlyMap<string, number>): string {
  const target = targets[name];
  if (target === undefined) return "";
  const parts: string[] = [];
  if (target.ratio !== undefined) {
    const { of, ...bounds } = target.ratio;
    const other = all.get(of);
    if (other !== undefined) parts.push(`${judgeBounds(value / other, bounds)} × ${of}`);
  }
  if (target.within !== undefined) {
    const { of, times, plus } = target.within;
    const other = all.get(of);
    if (other !== undefined)
      parts.push(
        `${judgeBounds(value, { atMost: times * other + plus })} = ${times} × ${of} + ${plus}`,
      );
  }
  if (target.atLeast !== undefined || target.atMost !== undefined) {
    parts.push(judgeBounds(value, target));
  }
  return parts.join("; ");
}

function judgeBounds(value: number, bounds: { atLeast?: number; atMost?: number }): string {
  const { atLeast, atMost } = bounds;
  const met = value >= (atLeast ?? value) && value <= (atMost ?? value);
  const bound = atLeast === undefined ? `≤ ${atMost}` : `≥ ${atLeast}`;
  return `${met ? "met" : "NOT MET"}: ${formatNumber(value)} ${bound}`;
}

/** Columns as wide as their widest cell; those of numbers are aligned to the right. */
export function formatTable(head: readonly string[], rows: readonly (readonly string[])[]): string {
  const all = [head, ...rows];
  const widths = head.map((_, i) => Math.max(...all.map((row) => (row[i] ?? "").length)));
  const lines = all.map((row) =>
    widths
      .map((width, i) => {
        const cell = row[i] ?? "";
        return isNumber(rows[0]?.[i]) ? cell.padStart(width) : cell.padEnd(width);
      })
      .join("  ")
      .trimEnd(),
  );
  const rule = widths.map((width) => "─".repeat(width)).join("  ");
  return [lines[0], rule, ...lines.slice(1)].join("\n");
}

function isNumber(cell: string | undefined): boolean {
  return cell !== undefined && /^[\d,.]+$/.test(cell);
}

export function formatNumber(value: number): string {
  return round(value).toLocaleString("en-US", { maximumFractionDigits: 3 });
}

/** Three digits that mean something. */
export function round(value: number): number {
  return Math.abs(value) >= 100 ? Math.round(value) : Number(value.toPrecision(3));
}
