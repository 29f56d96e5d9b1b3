/** Cron expressions. Loaded with the first one, as is the library. */
import { Cron } from "croner";
import { invalid } from "../model/errors.ts";

/** The first time after `now` that fits, in ms since the epoch. */
export function nextTime(expression: string, timeZone: string, now: number): number {
  let next: Date | null;
  try {
    next = new Cron(expression, { timezone: timeZone, paused: true }).nextRun(new Date(now));
  } catch (error) {
    const said = error instanceof Error ? error.message : String(error);
    throw invalid("wait.cron", `or wait.time_zone is not usable: ${said}`);
  }
  if (next === null) throw invalid("wait.cron", "does not match any time in the future");
  return next.getTime();
}
