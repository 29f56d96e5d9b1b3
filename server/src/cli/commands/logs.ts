import { create, toJson } from "@bufbuild/protobuf";
import { type Event, EventSchema, ListEventsResponseSchema } from "@pawl/proto";
import { clientCommand, printJson, type Server } from "../client.ts";
import { EXIT, usageError } from "../exit.ts";
import { withValues } from "../payload.ts";
import { describeEvent, LEVELS, levelOfEvent } from "../render/entries.ts";
import { formatClock } from "../render/text.ts";
import { readEvents } from "../runs.ts";
import type { Terminal } from "../terminal.ts";

const LINES_MAX = 1_000_000;

export const command = clientCommand({
  usage: "logs ID [-n N] [-l LEVEL] [--follow]",
  about:
    "Prints what happened in a run, one line per entry of its journal. With --follow it goes on\n" +
    "with what happens from then on, the live output of steps included, until the run has ended.\n" +
    "With --json it prints one object per line when following.",
  options: {
    lines: { type: "string", short: "n", value: "N", help: "Only the last N lines." },
    level: {
      type: "string",
      short: "l",
      value: "LEVEL",
      help: "debug, info, warn or error; info otherwise.",
    },
    follow: { type: "boolean", short: "f", help: "Go on until the run has ended." },
  },
  async run(server, args, terminal) {
    const runId = args.positional(0, "The run's id");
    const least = LEVELS.findIndex((level) => level === (args.text("level") ?? "info"));
    if (least < 0)
      throw usageError(
        `--level is "${args.text("level")}"; it must be one of ${LEVELS.join(", ")}.`,
      );
    const matters = (event: Event): boolean => LEVELS.indexOf(levelOfEvent(event)) >= least;
    const json = args.flag("json");
    const follow = args.flag("follow");
    const { events, cursor } = await readEvents(server, runId);
    const lines = args.integer("lines", 0, LINES_MAX);
    const chosen = events.filter(matters);
    const shown =
      lines === undefined ? chosen : chosen.slice(chosen.length - Math.min(lines, chosen.length));
    if (json && !follow) {
      printJson(
        terminal,
        ListEventsResponseSchema,
        create(ListEventsResponseSchema, { events: shown }),
      );
      return EXIT.OK;
    }
    for (const event of shown) print(event, json, terminal);
    if (follow)
      await followRun(
        server,
        runId,
        cursor,
        (event) => matters(event) && print(event, json, terminal),
      );
    return EXIT.OK;
  },
});

function print(event: Event, json: boolean, terminal: Terminal): void {
  terminal.out(
    json
      ? JSON.stringify(withValues(EventSchema, toJson(EventSchema, event)))
      : describeEvent(event, terminal, formatClock),
  );
}

async function followRun(
  server: Server,
  runId: string,
  afterCursor: string,
  take: (event: Event) => void,
): Promise<void> {
  for await (const { events } of server.events.watchRun({ runId, afterCursor })) {
    for (const event of events) take(event);
  }
}
