import type { StepRecord } from "../journal/run-memory.ts";
import type { StepSide } from "../steps/step-types.ts";

/** Same key, but other code or other input. An absent digest compares with nothing. */
export function differs(step: StepRecord, other: StepSide): boolean {
  if (step.kind !== other.kind) return true;
  if (step.inputDigest !== "" && other.inputDigest !== "" && step.inputDigest !== other.inputDigest)
    return true;
  return (
    step.definitionDigest !== "" &&
    other.definitionDigest !== "" &&
    step.definitionDigest !== other.definitionDigest
  );
}

/** A step in words, for messages that show both sides. */
export function describe(side: StepSide): string {
  const parts = [`${side.kind} "${side.name}"`];
  if (side.inputDigest !== "") parts.push(`input ${side.inputDigest.slice(0, 12)}`);
  if (side.definitionDigest !== "") parts.push(`definition ${side.definitionDigest.slice(0, 12)}`);
  return parts.join(", ");
}
