/** What Ctrl-C means for a command that only watches. */
import { EXIT } from "./exit.ts";
import { quoted } from "./open-waits.ts";
import type { Terminal } from "./terminal.ts";

/** Ctrl-C ends the command and not the run; it says so, and how to see the run again. */
export function goesOnAfterInterrupt(runId: string, terminal: Terminal): void {
  process.once("SIGINT", () => {
    terminal.progress("");
    terminal.area([]);
    const id = quoted(runId);
    terminal.note(
      `\nThe run continues. Watch it with \`pawl watch ${id}\`, or cancel it with \`pawl cancel ${id}\`.`,
    );
    process.exit(EXIT.INTERRUPTED);
  });
}
