/** Cron expressions. Loaded with the first one, as is the library. */
import { Cron } from "croner";
import { invalid } from "../../model/errors.ts";

/** The first time after `now` that fits, in ms since the epoch. */
export function nextTime(expression: string, timeZone: string, now: number): number {
  let next: Date | null;
  try {
    next = new Cron(expression, { timezone: timeZone, paused: true }).nextRun(new Date(now));
  } catch (error) {
    if (!isTimeZone(timeZone))
      throw invalid("wait.time_zone", `"${timeZone}" is not a known time zone; use an IANA name`);
    const said = error instanceof Error ? error.message : String(error);
    throw invalid("wait.cron", `"${expression}" is not a valid cron expression: ${said}`);
  }
  if (next === null) throw invalid("wait.cron", "does not match any time in the future");
  return next.getTime();
}

function isTimeZone(name: string): boolean {
  try {
    new Intl.DateTimeFormat("en", { timeZone: name });
    return true;
  } catch {
    // A RangeError; there is no other way to ask.
    return false;
  }
}
