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
