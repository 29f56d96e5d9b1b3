import { create } from "@bufbuild/protobuf";
import {
  type Payload,
  PayloadSchema,
  type Question,
  type ResolveWaitResponse,
  ResolveWaitResponseSchema,
  StepKind,
  type Wait,
} from "@pawl/proto";
import { formatTime } from "../render/text.ts";
import type { Args } from "../shared/args.ts";
import { askQuestion, type Said } from "../shared/ask-question.ts";
import { clientCommand, printJson, reasonOf, type Server } from "../shared/client-command.ts";
import { CliError, EXIT, usageError } from "../shared/exit.ts";
import {
  ACTOR_OPTION,
  actorOf,
  describeQuestion,
  findWait,
  titleOf,
} from "../shared/open-waits.ts";
import { payloadFrom } from "../shared/payload-text.ts";
import { Prompt } from "../shared/prompt.ts";
import { ms } from "../shared/run-text.ts";
import type { Terminal } from "../shared/terminal.ts";
import { answerFrom } from "../shared/typed-answers.ts";

export const command = clientCommand({
  usage: "answer WAIT_ID [VALUE…] [--json-answer JSON] [--skip] [--comment TEXT]",
  about:
    "Answers a question, or resolves a callback by hand. WAIT_ID may be the run's id, or the\n" +
    "beginning of one, where that leaves one open wait. Without an answer it asks for one.\n" +
    "VALUE is a text, yes or no, an option, several of them, or FIELD=VALUE for a form.",
  options: {
    "json-answer": { type: "string", value: "JSON", help: "The answer as JSON." },
    skip: { type: "boolean", help: "Declines to answer, where the question allows it." },
    comment: { type: "string", value: "TEXT", help: "Why, for the record." },
    "resolution-id": {
      type: "string",
      value: "ID",
      help: "For deduplication: the same again is one answer.",
    },
    ...ACTOR_OPTION,
  },
  examples: [
    "pawl answer order-17",
    'pawl answer order-17 "the blue one"',
    "pawl answer import-3 column=age drop=yes",
  ],
  async run(server, args, terminal) {
    const typed = args.positional(0, "The wait's id");
    const wait = await findWait(server, typed, [StepKind.USER, StepKind.CALLBACK]);
    const given = await givenAnswer(wait, args);
    const resolution = { server, wait, args, terminal };
    const response =
      given === undefined
        ? await askAndResolve(resolution, questionOf(wait))
        : await resolve(resolution, given);
    tell(response, args, terminal);
    return EXIT.OK;
  },
});

export interface Resolution {
  readonly server: Server;
  readonly wait: Wait;
  readonly args: Args;
  readonly terminal: Terminal;
}

/** What the command line answers; undefined where it does not. */
async function givenAnswer(wait: Wait, args: Args): Promise<Payload | "skip" | undefined> {
  const words = args.positionals.slice(1);
  const json = await payloadFrom("--json-answer", args.text("json-answer"), undefined);
  const ways = [words.length > 0, json !== undefined, args.flag("skip")].filter((way) => way);
  if (ways.length > 1)
    throw usageError("Give the answer once: as values, with --json-answer, or --skip.");
  if (args.flag("skip")) return "skip";
  if (json !== undefined || words.length === 0) return json;
  if (wait.question === undefined)
    throw usageError("A callback has no type to read values by.", "Use --json-answer JSON.");
  return jsonPayload(answerFrom(wait.question, words));
}

function questionOf(wait: Wait): Question {
  if (wait.question !== undefined) return wait.question;
  throw usageError(
    `It waits for ${titleOf(wait)}, which is no question.`,
    "Use --json-answer JSON.",
  );
}

export function jsonPayload(value: unknown): Payload {
  const data = Buffer.from(JSON.stringify(value), "utf8");
  return create(PayloadSchema, { data, encoding: "json" });
}

/** Records the answer. */
export async function resolve(
  { server, wait, args, terminal }: Resolution,
  answer: Payload | "skip",
  comment = args.text("comment") ?? "",
): Promise<ResolveWaitResponse> {
  return await server.signals.resolveWait({
    waitId: wait.waitId,
    resolutionId: args.text("resolution-id") ?? "",
    resolution:
      answer === "skip" ? { case: "skip", value: true } : { case: "answer", value: answer },
    actor: actorOf(args, terminal),
    comment,
  });
}

/** Asks at the terminal, again where the server refuses the answer as it is. */
async function askAndResolve(
  resolution: Resolution,
  question: Question,
): Promise<ResolveWaitResponse> {
  const { wait, args, terminal } = resolution;
  if (wait.outcome !== "") throw isResolved(wait);
  terminal.note(terminal.style("bold", question.prompt));
  terminal.note(terminal.style("dim", describeQuestion(question, wait)));
  const prompt = new Prompt(terminal);
  try {
    for (;;) {
      const said: Said = await askQuestion(question, prompt, terminal);
      const comment = args.text("comment") ?? ("comment" in said ? said.comment : "");
      try {
        return await resolve(
          resolution,
          "skip" in said ? "skip" : jsonPayload(said.answer),
          comment,
        );
      } catch (error) {
        const refused = reasonOf(error);
        if (refused?.reason !== "INVALID_ANSWER") throw error;
        terminal.note(terminal.style("yellow", refused.message));
      }
    }
  } finally {
    prompt.close();
  }
}

function isResolved({ outcome, resolvedBy, resolvedAt }: Wait): CliError {
  const by = resolvedBy === "" ? "" : ` by ${resolvedBy}`;
  const at = ms(resolvedAt);
  return new CliError(
    EXIT.REFUSED,
    `It is over already: ${outcome}${by}${at === undefined ? "" : ` at ${formatTime(at)}`}.`,
    { reason: "WAIT_ALREADY_RESOLVED", metadata: { outcome, resolved_by: resolvedBy } },
  );
}

/** Says what has become of the wait. */
export function tell(response: ResolveWaitResponse, args: Args, terminal: Terminal): void {
  if (args.flag("json")) {
    printJson(terminal, ResolveWaitResponseSchema, response);
    return;
  }
  const { wait, duplicate } = response;
  if (wait === undefined) return;
  terminal.out(wait.waitId);
  if (duplicate) {
    terminal.note("This answer had been received before.");
  } else if (wait.outcome === "") {
    const needed = wait.question?.approvalsNeeded ?? 1;
    terminal.note(`Recorded: ${wait.answers.length} of ${needed} approvals so far.`);
  } else {
    const approved = wait.answers.at(-1)?.approved;
    const said = approved === undefined ? wait.outcome : approved ? "approved" : "rejected";
    terminal.note(`Recorded as ${said}${wait.resolvedBy === "" ? "" : ` by ${wait.resolvedBy}`}.`);
  }
}
