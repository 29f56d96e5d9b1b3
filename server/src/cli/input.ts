/** Questions on the terminal, answered line by line from standard input. */
import { createInterface } from "node:readline";
import { usageError } from "./exit.ts";
import type { Terminal } from "./terminal.ts";

/** Asks on standard error, so that standard output has the result alone. Piped lines do as well. */
export class Prompt {
  readonly #terminal: Terminal;
  readonly #lines = createInterface({ input: process.stdin, crlfDelay: Number.POSITIVE_INFINITY });
  readonly #next = this.#lines[Symbol.asyncIterator]();

  constructor(terminal: Terminal) {
    this.#terminal = terminal;
  }

  /** @throws CliError where there are no more lines */
  async ask(text: string): Promise<string> {
    this.#terminal.prompt(text);
    const { value, done } = await this.#next.next();
    if (done !== true) return value;
    this.#terminal.note("");
    throw usageError(
      "No answer was given.",
      "Nothing was recorded. `pawl answer --help` tells how.",
    );
  }

  close(): void {
    this.#lines.close();
  }
}
