/**
 * Span ids that every process derives alike, so that a span can name its parent although another
 * process makes that one, later or after a crash. docs/observability.md says how.
 */
import { createHash } from "node:crypto";

function spanId(text: string): string {
  return createHash("sha256").update(`pawl.span\n${text}`).digest("hex").slice(0, 16);
}

/** The span of a run that was never retried. */
export function runSpanId(runId: string): string {
  return spanId(runId);
}

export function stepSpanId(runId: string, stepKey: string, attempt: number): string {
  return spanId(`${runId}\n${stepKey}\n${attempt}`);
}
