/** How much of some source files was executed, by V8's own count. */
import { readFileSync } from "node:fs";
import { type Profiler, Session } from "node:inspector/promises";
import { join, sep } from "node:path";
import { fileURLToPath } from "node:url";

const root = join(import.meta.dirname, "..", "..");

export class Coverage {
  readonly #session = new Session();

  /** Counts from now on, also what has been loaded before. */
  static async start(): Promise<Coverage> {
    const made = new Coverage();
    made.#session.connect();
    await made.#session.post("Profiler.enable");
    await made.#session.post("Profiler.startPreciseCoverage", { callCount: true, detailed: true });
    return made;
  }

  /** A line for each file of a folder, and one for all of them. */
  async report(folder: string): Promise<string[]> {
    const { result } = await this.#session.post("Profiler.takePreciseCoverage");
    const files = result.flatMap((script) => {
      if (!script.url.startsWith("file:")) return [];
      const path = fileURLToPath(script.url)
        .slice(root.length + 1)
        .split(sep)
        .join("/");
      return path.startsWith(folder) ? [{ path, ...linesOf(script) }] : [];
    });
    const sum = { path: folder, covered: 0, all: 0, missed: "" };
    for (const { covered, all } of files) {
      sum.covered += covered;
      sum.all += all;
    }
    return [...files.sort((a, b) => a.path.localeCompare(b.path)), sum].map(
      ({ path, covered, all, missed }) =>
        `${((100 * covered) / all).toFixed(1).padStart(5)} % of the ${all} lines of ${path}${missed === "" ? "" : `, not ${missed}`}`,
    );
  }
}

/** Lines that hold code, and those of which some of it was executed. */
function linesOf({ url, functions }: Profiler.ScriptCoverage): {
  covered: number;
  all: number;
  missed: string;
} {
  const source = readFileSync(fileURLToPath(url), "utf8");
  const counts = new Int32Array(source.length).fill(1);
  // Ranges within others come after them and are more exact.
  for (const { ranges } of functions)
    for (const { startOffset, endOffset, count } of ranges)
      counts.fill(count, startOffset, endOffset);
  const missed: number[] = [];
  let all = 0;
  let offset = 0;
  for (const [index, line] of source.split("\n").entries()) {
    const text = line.trim();
    if (/^(\W*|(\/\/|\/?\*|import|export type|export interface).*)$/.test(text) === false) {
      all += 1;
      const begin = offset + line.length - line.trimStart().length;
      if (counts.subarray(begin, begin + text.length).every((count) => count === 0))
        missed.push(index + 1);
    }
    offset += line.length + 1;
  }
  return { covered: all - missed.length, all, missed: spans(missed) };
}

/** 1, 2, 3, 7 → "1-3, 7" */
function spans(lines: readonly number[]): string {
  const found: [from: number, to: number][] = [];
  for (const line of lines) {
    const last = found.at(-1);
    if (last !== undefined && line - last[1] <= 1) last[1] = line;
    else found.push([line, line]);
  }
  return found.map(([from, to]) => (from === to ? `${from}` : `${from}-${to}`)).join(", ");
}
