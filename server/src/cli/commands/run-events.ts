import { eventCommand, isAtLeast } from "../shared/event-lines.ts";

export const run = eventCommand((event, least) => isAtLeast(event, least, "info"));
