/** What `pawl events` and `pawl logs` share: a run's events, one line each. */
import { toJson } from "@bufbuild/protobuf";
import { type Event, EventSchema } from "@pawl/proto";
import { describeEvent, LEVELS, type Level, levelOfEvent } from "../render/entries.ts";
import { formatClock } from "../render/text.ts";
import type { Args, Command } from "./args.ts";
import { clientCommand, type Server } from "./client-command.ts";
import { EXIT, usageError } from "./exit.ts";
import { followRun } from "./follow-run.ts";
import { goesOnAfterInterrupt } from "./interrupt.ts";
import { withValues } from "./payload-text.ts";
import { readEvents } from "./run-text.ts";
import type { Terminal } from "./terminal.ts";

const LINES_MAX = 1_000_000;

export interface EventCommand {
  readonly usage: string;
  readonly about: string;
  readonly examples: readonly string[];
  /** Whether an event is shown, given the least level that was asked for: its place, or -1. */
  readonly matters: (event: Event, least: number) => boolean;
}

export function eventCommand({ usage, about, examples, matters }: EventCommand): Command {
  return clientCommand({
    usage,
    about,
    examples,
    options: {
      lines: { type: "string", short: "n", value: "N", help: "Only the last N of what there is." },
      level: {
        type: "string",
        short: "l",
        value: "LEVEL",
        help: "At least this: debug, info, warn or error.",
      },
      follow: { type: "boolean", short: "f", help: "Go on until the run has ended." },
      after: { type: "string", value: "CURSOR", help: "Only what comes after this event." },
    },
    async run(server, args, terminal) {
      const runId = args.positional(0, "The run's id");
      const json = args.flag("json");
      const least = levelOf(args, json ? 0 : -1);
      const lines = args.integer("lines", 0, LINES_MAX);
      const show = (event: Event): void => {
        if (matters(event, least)) print(event, json, terminal);
      };
      const { events, cursor } = await readEvents(server, runId, args.text("after"));
      const chosen = events.filter((event) => matters(event, least));
      const skipped = lines === undefined ? 0 : Math.max(0, chosen.length - lines);
      for (const event of chosen.slice(skipped)) show(event);
      if (args.flag("follow")) goesOnAfterInterrupt(runId, terminal);
      if (args.flag("follow")) await follow(server, runId, cursor, show, terminal);
      return EXIT.OK;
    },
  });
}

/** Place in LEVELS; `otherwise` where none was asked for. */
function levelOf(args: Args, otherwise: number): number {
  const asked = args.text("level");
  if (asked === undefined) return otherwise;
  const found = LEVELS.map(String).indexOf(asked);
  if (found < 0) {
    throw usageError(`--level is "${asked}"; it must be one of ${LEVELS.join(", ")}.`);
  }
  return found;
}

export function isAtLeast(event: Event, least: number, otherwise: Level): boolean {
  const wanted = least < 0 ? LEVELS.indexOf(otherwise) : least;
  return LEVELS.indexOf(levelOfEvent(event)) >= wanted;
}

function print(event: Event, json: boolean, terminal: Terminal): void {
  terminal.out(json ? eventJson(event) : describeEvent(event, terminal, formatClock));
}

/** One line of JSON, payloads with their values in clear. */
export function eventJson(event: Event): string {
  return JSON.stringify(withValues(EventSchema, toJson(EventSchema, event)));
}

async function follow(
  server: Server,
  runId: string,
  afterCursor: string,
  show: (event: Event) => void,
  terminal: Terminal,
): Promise<void> {
  const onBreak = breakNotes(terminal, server);
  for await (const events of followRun(server, { runId, afterCursor, onBreak })) {
    for (const event of events) show(event);
  }
}

/** Tells people that the server is away, and when it is back. */
export function breakNotes(terminal: Terminal, server: Server) {
  return (state: "broken" | "back"): void => {
    terminal.note(
      state === "broken"
        ? `The connection to ${server.url} broke; trying again …`
        : "The server is back.",
    );
  };
}
