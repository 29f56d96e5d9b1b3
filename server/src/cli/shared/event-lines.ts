/** What `pawl events` and `pawl logs` share: a run's events, one line each. */
import { type Event, EventSchema } from "@pawl/proto";
import { plain } from "../../rpc/plain.ts";
import type { Run } from "../catalog/command.ts";
import { describeEvent, LEVELS, type Level, levelOfEvent } from "../render/entries.ts";
import { formatClock } from "../render/text.ts";
import type { Args } from "./args.ts";
import { clientCommand, type Server } from "./client-command.ts";
import { EXIT, usageError } from "./exit.ts";
import { followRun } from "./follow-run.ts";
import { goesOnAfterInterrupt } from "./interrupt.ts";
import { readEvents } from "./run-text.ts";
import type { Terminal } from "./terminal.ts";

const LIMIT_MAX = 1_000_000;

/**
 * A command that prints events.
 *
 * @param matters whether an event is shown, given the least level that was asked for: its place, or -1
 */
export function eventCommand(matters: (event: Event, least: number) => boolean): Run {
  return clientCommand(async (server, args, terminal) => {
    const runId = args.positional(0);
    const json = args.flag("json");
    const least = levelOf(args, json ? 0 : -1);
    const limit = args.integer("limit", 0, LIMIT_MAX);
    const show = (event: Event): void => {
      if (matters(event, least)) print(event, json, terminal);
    };
    const { events, cursor } = await readEvents(server, runId, args.text("after"));
    const chosen = events.filter((event) => matters(event, least));
    const skipped = limit === undefined ? 0 : Math.max(0, chosen.length - limit);
    for (const event of chosen.slice(skipped)) show(event);
    if (args.flag("follow")) goesOnAfterInterrupt(runId, terminal);
    if (args.flag("follow")) await follow(server, runId, cursor, show, terminal);
    return EXIT.OK;
  });
}

/** Its place in LEVELS; `otherwise` if none was asked for. */
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
  return JSON.stringify(plain(EventSchema, event));
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

/** Says that the connection is lost, and when it is back. */
export function breakNotes(terminal: Terminal, server: Server) {
  return (state: "broken" | "back"): void => {
    terminal.note(
      state === "broken" ? `Lost the connection to ${server.url}; trying again …` : "Reconnected.",
    );
  };
}
