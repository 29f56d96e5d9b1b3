/** Proof, kept outside of Pawl, of which step bodies ran: a line in a file for each time. */
import { appendFileSync, readFileSync } from "node:fs";
import { z } from "zod";

const execution = z.object({
  runId: z.string(),
  stepKey: z.string(),
  attempt: z.int(),
  pid: z.int(),
});

/** A step body was entered. */
export type Execution = z.output<typeof execution>;

/** Where the lines go; without it there are none. */
const variable = "DIGEST_AUDIT_FILE";

/**
 * Notes that the body of this step runs now, where DIGEST_AUDIT_FILE asks for it. The line is with
 * the operating system before the body continues, so it outlives a SIGKILL.
 */
export function recordExecution(step: {
  readonly runId: string;
  readonly stepKey: string;
  readonly attempt: number;
}): void {
  const file = process.env[variable];
  if (file === undefined || file === "") return;
  const { runId, stepKey, attempt } = step;
  appendFileSync(file, `${JSON.stringify({ runId, stepKey, attempt, pid: process.pid })}\n`);
}

/** What was noted of one run. */
export function readExecutions(file: string, runId: string): Execution[] {
  return readFileSync(file, "utf8")
    .split("\n")
    .filter((line) => line !== "")
    .map((line) => execution.parse(JSON.parse(line)))
    .filter((line) => line.runId === runId);
}
