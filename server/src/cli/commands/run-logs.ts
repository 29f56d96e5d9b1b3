import type { Event } from "@pawl/proto";
import { LEVELS } from "../render/entries.ts";
import { eventCommand, isAtLeast } from "../shared/event-lines.ts";

export const run = eventCommand((event, least) =>
  isLog(event) ? isAtLeast(event, least, "info") : isAtLeast(event, Math.max(least, WARN), "warn"),
);

const WARN = LEVELS.indexOf("warn");

function isLog(event: Event): boolean {
  return event.type === "log";
}
