import type { Event } from "@pawl/proto";
import { LEVELS } from "../render/entries.ts";
import { eventCommand, isAtLeast } from "../shared/event-lines.ts";

export const command = eventCommand({
  usage: "logs ID [-n N] [-l LEVEL] [--follow] [--after CURSOR]",
  about:
    "Prints what the code of a run logged (`ctx.log`), and what went wrong in it: failed attempts,\n" +
    "pauses, recoveries, how it ended where it did not complete. Without -l, from info on. With\n" +
    "--follow it goes on until the run has ended. `pawl events` prints all that happened.",
  examples: ["pawl logs order-1 -l warn", "pawl logs order-1 --follow"],
  matters: (event, least) =>
    isLog(event)
      ? isAtLeast(event, least, "info")
      : isAtLeast(event, Math.max(least, WARN), "warn"),
});

const WARN = LEVELS.indexOf("warn");

function isLog(event: Event): boolean {
  return event.type === "log";
}
