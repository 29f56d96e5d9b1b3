import { WaitOutcome } from "@pawl/proto";

/** How a wait ended, such as `timed_out`; empty while it is open. */
export function outcomeName(outcome: WaitOutcome): string {
  if (outcome === WaitOutcome.UNSPECIFIED) return "";
  return (WaitOutcome[outcome] ?? "").toLowerCase();
}
