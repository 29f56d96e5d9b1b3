/**
 * Span ids that every process derives alike, so that a span can name its parent although another
 * process makes that one, later or after a crash. docs/observability.md says how.
 */
import { createHash } from "node:crypto";

function digest(text: string): string {
  return createHash("sha256").update(text).digest("hex");
}

/** Of a run that was started without any trace. */
export function traceIdOf(runId: string): string {
  return digest(`pawl.trace\n${runId}`).slice(0, 32);
}

/** `retries`: how often the run was retried after it had failed; each time it gets a span of its own. */
export function runSpanId(runId: string, retries: number): string {
  const which = retries === 0 ? "" : `\n\n${retries}`;
  return digest(`pawl.span\n${runId}${which}`).slice(0, 16);
}

export function stepSpanId(runId: string, stepKey: string, attempt: number): string {
  return digest(`pawl.span\n${runId}\n${stepKey}\n${attempt}`).slice(0, 16);
}
