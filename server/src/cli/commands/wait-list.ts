import { create } from "@bufbuild/protobuf";
import { ListWaitsResponseSchema, StepKind, type Wait } from "@pawl/proto";
import { systemClock } from "../../lib/clock.ts";
import { clientCommand, printJson } from "../shared/client-command.ts";
import { EXIT } from "../shared/exit.ts";
import {
  ACTOR_OPTION,
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

const LIMIT_DEFAULT = 50;
const LIMIT_MAX = 100_000;
/** What needs somebody from outside. */
const OUTSIDE = [StepKind.USER, StepKind.SIGNAL, StepKind.CALLBACK];

export const command = clientCommand({
  usage: "waits [--mine] [--assignee NAME] [--workflow NAME] [--kind KIND] [--limit N]",
  about:
    "Shows what runs wait for from outside, oldest first: questions, signals and callbacks, and how to answer.",
  options: {
    mine: { type: "boolean", help: "Only questions that you may answer." },
    assignee: { type: "string", value: "NAME", help: "Only questions that name this assignee." },
    workflow: { type: "string", value: "NAME", help: "Only runs of this workflow." },
    run: { type: "string", value: "ID", help: "Only this run." },
    closed: {
      type: "boolean",
      help: "Those that nobody waits for any more: lost races, questions the code no longer asks.",
    },
    kind: {
      type: "string",
      multiple: true,
      value: "KIND",
      help: "user, signal, callback, sleep or child; may be repeated.",
    },
    limit: {
      type: "string",
      short: "n",
      value: "N",
      help: `At most this many; ${LIMIT_DEFAULT} otherwise.`,
    },
    ...ACTOR_OPTION,
  },
  examples: ["pawl waits --mine", "pawl waits --kind user --workflow expense --json"],
  async run(server, args, terminal) {
    const limit = args.integer("limit", 1, LIMIT_MAX) ?? LIMIT_DEFAULT;
    const mine = args.flag("mine");
    const people = mine || args.text("assignee") !== undefined;
    const wanted = args.list("kind").map(parseKind);
    const kinds = wanted.length > 0 ? wanted : people ? [StepKind.USER] : OUTSIDE;
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
      terminal.note(mine ? `Nothing waits for ${assignee}.` : "Nothing waits.");
    } else {
      for (const line of showWaits(waits, actorOf(args, terminal), terminal)) terminal.out(line);
      if (more) terminal.note("There are more; --limit N shows up to N of them.");
    }
    return EXIT.OK;
  },
});

/** A block of lines for each. */
function showWaits(waits: readonly Wait[], actor: string, terminal: Terminal): string[] {
  const now = systemClock.now();
  const perRun = new Map<string, number>();
  for (const { runId } of waits) perRun.set(runId, (perRun.get(runId) ?? 0) + 1);
  return waits.flatMap((wait, i) => {
    // Where it is the only one, its run's id names it.
    const id = quoted(perRun.get(wait.runId) === 1 ? wait.runId : wait.waitId);
    const facts = [
      wait.question === undefined ? "" : describeQuestion(wait.question, wait),
      `${wait.workflow}, ${timesOf(wait, now)}`,
      wait.outcome,
    ];
    const how = wait.outcome === "" ? howToAnswer(wait, id, actor) : "";
    return [
      ...(i === 0 ? [] : [""]),
      `${terminal.style("bold", titleOf(wait))}  ${terminal.style("dim", wait.runId)}`,
      `  ${facts.filter((fact) => fact !== "").join("  ·  ")}`,
      ...(how === "" ? [] : [`  ${terminal.style("cyan", how)}`]),
    ];
  });
}
