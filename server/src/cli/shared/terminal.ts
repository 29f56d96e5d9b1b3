/** Where a command writes, and what can be shown there. */
import { styleText } from "node:util";
import { EXIT } from "./exit.ts";

export interface Terminal {
  /** Results, to standard output; a line break is added. */
  out(text: string): void;
  /** Notes for people, to standard error; a line break is added. */
  note(text: string): void;
  /** A note without a line break, before a line is read. */
  prompt(text: string): void;
  /** A line that replaces itself; shown on a terminal only. Empty: removes it. */
  progress(text: string): void;
  /**
   * Lines below all others that replace themselves, each cut to the width; shown where standard
   * output is a terminal. None: removes them.
   */
  area(lines: readonly string[]): void;
  /** Progress is shown: standard error is a terminal. */
  readonly live: boolean;
  /** Standard output is a terminal. */
  readonly interactive: boolean;
  /** Characters per line: the terminal's, else 100. */
  readonly columns: number;
  style(style: Style, text: string): string;
  readonly env: Readonly<Record<string, string | undefined>>;
}

export type Style = "bold" | "dim" | "red" | "green" | "yellow" | "blue" | "cyan" | "magenta";

export interface TerminalOptions {
  /** Keep running when the reader of the output is gone, as a server must. Default: end, as Unix tools do. */
  readonly outlivesReader?: boolean;
}

export function systemTerminal({ outlivesReader = false }: TerminalOptions = {}): Terminal {
  const { env, stdout, stderr } = process;
  const broken = (error: NodeJS.ErrnoException): void => {
    if (error.code !== "EPIPE") throw error;
    // `pawl events ID | head -1` has read enough; there is nothing left to do.
    if (!outlivesReader) process.exit(EXIT.OK);
  };
  stdout.on("error", broken);
  stderr.on("error", broken);
  const interactive = stdout.isTTY === true;
  const noColor = env.NO_COLOR !== undefined && env.NO_COLOR !== "";
  const colors = interactive && !noColor && env.TERM !== "dumb";
  let shown = false;
  const clear = (): void => {
    if (!shown) return;
    shown = false;
    stderr.write("\r\x1b[2K");
  };
  let drawn: readonly string[] = [];
  const wipe = (): void => {
    if (drawn.length > 0) stdout.write(`\r\x1b[${drawn.length}A\x1b[J`);
    drawn = [];
  };
  return {
    out(text) {
      clear();
      wipe();
      stdout.write(`${text}\n`);
    },
    note(text) {
      clear();
      wipe();
      stderr.write(`${text}\n`);
    },
    prompt(text) {
      clear();
      stderr.write(text);
    },
    progress(text) {
      if (stderr.isTTY !== true) return;
      clear();
      if (text === "") return;
      shown = true;
      stderr.write(text.slice(0, (stderr.columns || 80) - 1));
    },
    area(lines) {
      if (!interactive || lines.join("\n") === drawn.join("\n")) return;
      wipe();
      if (lines.length > 0) stdout.write(`${lines.join("\n")}\n`);
      drawn = lines;
    },
    live: stderr.isTTY === true,
    interactive,
    columns: Math.max(40, (interactive ? stdout.columns : Number(env.COLUMNS)) || 100),
    style: (style, text) => (colors ? styleText(style, text, { validateStream: false }) : text),
    env,
  };
}
