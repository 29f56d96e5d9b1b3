/** Checks of options, made when they are given. */
import { UsageError } from "../errors.ts";
import { shown } from "./foreign.ts";

/** A whole number within bounds. Throws UsageError. */
export function wholeNumber(what: string, value: unknown, least: number, most: number): number {
  if (typeof value === "number" && Number.isInteger(value) && value >= least && value <= most)
    return value;
  throw new UsageError(
    `${what} must be a whole number from ${least} to ${most}; it is ${shown(value)}`,
  );
}

/** The highest number of a limit or counter. */
export const countMax = 2_147_483_647;

/** Refuses options that do not exist; `what` is what they would be: "a step option". Throws UsageError. */
export function refuseUnknown(
  options: object,
  known: Readonly<Record<string, true>>,
  what: string,
): void {
  const wrong = Object.keys(options).find((name) => !Object.hasOwn(known, name));
  if (wrong === undefined) return;
  throw new UsageError(`"${wrong}" is not ${what}; those are ${Object.keys(known).join(", ")}`);
}
