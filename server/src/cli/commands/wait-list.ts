import { create } from "@bufbuild/protobuf";
import { ListWaitsResponseSchema, type Wait, WaitKind, WaitOutcome } from "@pawl/proto";
import { systemClock } from "../../lib/clock.ts";
import { outcomeName } from "../render/wait-outcome.ts";
import { limitOf } from "../shared/args.ts";
import { clientCommand, printJson } from "../shared/client-command.ts";
import { EXIT } from "../shared/exit.ts";
import {
  actorOf,
  describeQuestion,
  howToAnswer,
  listWaits,
  parseKind,
  quoted,
  timesOf,
  titleOf,
} from "../shared/open-waits.ts";
import type { Terminal } from "../shared/terminal.ts";

/** Waits that somebody outside has to end. */
const OUTSIDE = [WaitKind.USER, WaitKind.SIGNAL, WaitKind.CALLBACK];

export const run = clientCommand(async (server, args, terminal) => {
  const limit = limitOf(args);
  const mine = args.flag("mine");
  const people = mine || args.text("assignee") !== undefined;
  const wanted = args.list("kind").map(parseKind);
  const kinds = wanted.length > 0 ? wanted : people ? [WaitKind.USER] : OUTSIDE;
  const assignee = args.text("assignee") ?? (mine ? actorOf(args, terminal) : "");
  const filter = {
    kinds,
    assignee,
    includeUnassigned: mine,
    workflow: args.text("workflow") ?? "",
    runId: args.text("run") ?? "",
    closed: args.flag("closed"),
  };
  const { waits, more } = await listWaits(server, filter, limit);
  if (args.flag("json")) {
    printJson(terminal, ListWaitsResponseSchema, create(ListWaitsResponseSchema, { waits }));
  } else if (waits.length === 0) {
    terminal.note(mine ? `No open questions for ${assignee}.` : "No open waits.");
  } else {
    for (const line of showWaits(waits, actorOf(args, terminal), terminal)) terminal.out(line);
    if (more) terminal.note("There are more; show them with --limit N.");
  }
  return EXIT.OK;
});

/** A block of lines for each. */
function showWaits(waits: readonly Wait[], actor: string, terminal: Terminal): string[] {
  const now = systemClock.now();
  const perRun = new Map<string, number>();
  for (const { runId } of waits) perRun.set(runId, (perRun.get(runId) ?? 0) + 1);
  return waits.flatMap((wait, i) => {
    // The run's id is enough if the run has one open wait.
    const id = quoted(perRun.get(wait.runId) === 1 ? wait.runId : wait.waitId);
    const facts = [
      wait.question === undefined ? "" : describeQuestion(wait.question, wait),
      `${wait.workflow}, ${timesOf(wait, now)}`,
      outcomeName(wait.outcome),
    ];
    const how = wait.outcome === WaitOutcome.UNSPECIFIED ? howToAnswer(wait, id, actor) : "";
    return [
      ...(i === 0 ? [] : [""]),
      `${terminal.style("bold", titleOf(wait))}  ${terminal.style("dim", wait.runId)}`,
      `  ${facts.filter((fact) => fact !== "").join("  ·  ")}`,
      ...(how === "" ? [] : [`  ${terminal.style("cyan", how)}`]),
    ];
  });
}
