/** Questions on the terminal, answered line by line from standard input. */
import { createInterface } from "node:readline";
import { usageError } from "./exit.ts";
import type { Terminal } from "./terminal.ts";

/** Asks on standard error, so that standard output contains only the result. Lines may also be piped in. */
export class Prompt {
  readonly #terminal: Terminal;
  readonly #lines = createInterface({ input: process.stdin, crlfDelay: Number.POSITIVE_INFINITY });
  readonly #next = this.#lines[Symbol.asyncIterator]();

  constructor(terminal: Terminal) {
    this.#terminal = terminal;
  }

  /** @throws CliError if there are no more lines */
  async ask(text: string): Promise<string> {
    const typed = await this.askOptional(text);
    if (typed !== undefined) return typed;
    throw usageError("No answer was given.", "Nothing was recorded. See `pawl answer --help`.");
  }

  /** Undefined if there are no more lines. */
  async askOptional(text: string): Promise<string | undefined> {
    this.#terminal.prompt(text);
    const { value, done } = await this.#next.next();
    // Only a person at a terminal ends the line of the question with the Enter key.
    if (done === true || process.stdin.isTTY !== true) this.#terminal.note("");
    return done === true ? undefined : value;
  }

  close(): void {
    this.#lines.close();
  }
}
