/** Text on a terminal, at most 100 columns wide; in colour only where it is one. */
import { styleText } from "node:util";

export type Style = "bold" | "dim" | "red" | "green" | "yellow" | "cyan";

/** Columns to use. Not on a terminal: 100. */
export const width = Math.min(100, Math.max(60, process.stdout.columns ?? 100));

/** The text in a style, where standard output is a terminal and NO_COLOR is not set. */
export function paint(style: Style, text: string): string {
  return text === "" ? "" : styleText(style, text, { stream: process.stdout });
}

export function print(line = ""): void {
  process.stdout.write(`${line}\n`);
}

/** A line of its own above a part of the output. */
export function printTitle(title: string): void {
  print();
  print(paint("bold", title));
  print();
}

/** Cut to that many columns, with an ellipsis; control characters are shown as spaces. */
export function clip(text: string, columns: number): string {
  const plain = text.replaceAll(/[\p{Cc}\p{Cf}]+/gu, " ");
  const letters = [...new Intl.Segmenter().segment(plain)].map(({ segment }) => segment);
  return letters.length <= columns ? plain : `${letters.slice(0, columns - 1).join("")}…`;
}

/** Cut or filled to exactly that many columns. */
export function fit(text: string, columns: number): string {
  return clip(text, columns).padEnd(columns);
}

/** The same for a path, which is cut in its middle: its first folder and its name say most. */
export function fitPath(path: string, columns: number): string {
  if (path.length <= columns) return fit(path, columns);
  const short = path.replace(/^([^/]+)\/.*\/([^/]+)$/, "$1/…/$2");
  return short.length <= columns ? fit(short, columns) : `…${path.slice(1 - columns)}`;
}

/** Broken into lines of at most that many columns, at spaces. */
export function wrap(text: string, columns: number): string[] {
  const lines: string[] = [];
  let line = "";
  for (const word of text.split(" ")) {
    if (line !== "" && line.length + 1 + word.length > columns) {
      lines.push(line);
      line = "";
    }
    line += line === "" ? word : ` ${word}`;
  }
  return [...lines, line];
}

/** `1 step`, `2 steps`. */
export function count(n: number, noun: string): string {
  return `${n.toLocaleString("en")} ${noun}${n === 1 ? "" : "s"}`;
}

export function seconds(ms: number): string {
  return `${(ms / 1_000).toFixed(1)} s`;
}
