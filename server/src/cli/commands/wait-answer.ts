import {
  type AnswerWaitResponse,
  type Payload,
  type Question,
  type Wait,
  WaitKind,
  WaitOutcome,
} from "@pawl/proto";
import { formatTime } from "../render/text.ts";
import { outcomeName } from "../render/wait-outcome.ts";
import { type Answering, jsonPayload, printAnswer, recordAnswer } from "../shared/answering.ts";
import type { Args } from "../shared/args.ts";
import { askQuestion, type Said } from "../shared/ask-question.ts";
import { clientCommand, reasonOf } from "../shared/client-command.ts";
import { CliError, EXIT, usageError } from "../shared/exit.ts";
import { describeQuestion, findWait, titleOf } from "../shared/open-waits.ts";
import { payloadFrom } from "../shared/payload-text.ts";
import { Prompt } from "../shared/prompt.ts";
import { ms } from "../shared/run-text.ts";
import { answerFrom } from "../shared/typed-answers.ts";

export const run = clientCommand(async (server, args, terminal) => {
  const typed = args.positional(0);
  const wait = await findWait(server, typed, [WaitKind.USER, WaitKind.CALLBACK]);
  const given = await givenAnswer(wait, args);
  const answering = { server, wait, args, terminal };
  const response =
    given === undefined
      ? await askAndRecord(answering, questionOf(wait))
      : await recordAnswer(answering, given);
  printAnswer(response, args, terminal);
  return EXIT.OK;
});

/** The answer that the command line gives, if any. */
async function givenAnswer(wait: Wait, args: Args): Promise<Payload | "skip" | undefined> {
  const words = args.positionals.slice(1);
  const json = await payloadFrom("--json-answer", args.text("json-answer"), undefined);
  const ways = [words.length > 0, json !== undefined, args.flag("skip")].filter((way) => way);
  if (ways.length > 1)
    throw usageError("Give one answer: as values, with --json-answer, or with --skip.");
  if (args.flag("skip")) return "skip";
  if (json !== undefined || words.length === 0) return json;
  if (wait.question === undefined)
    throw usageError("A callback has no schema; pass JSON with --json-answer.");
  return jsonPayload(answerFrom(wait.question, words));
}

function questionOf(wait: Wait): Question {
  if (wait.question !== undefined) return wait.question;
  throw usageError(
    `This wait (${titleOf(wait)}) is not a question.`,
    "Pass the answer with --json-answer JSON.",
  );
}

/** Asks at the terminal, again where the server refuses the answer as it is. */
async function askAndRecord(answering: Answering, question: Question): Promise<AnswerWaitResponse> {
  const { wait, args, terminal } = answering;
  if (wait.outcome !== WaitOutcome.UNSPECIFIED) throw isResolved(wait);
  terminal.note(terminal.style("bold", question.prompt));
  terminal.note(terminal.style("dim", describeQuestion(question, wait)));
  const prompt = new Prompt(terminal);
  try {
    for (;;) {
      const said: Said = await askQuestion(question, prompt, terminal);
      const comment = args.text("comment") ?? ("comment" in said ? said.comment : "");
      try {
        const answer = "skip" in said ? "skip" : jsonPayload(said.answer);
        return await recordAnswer(answering, answer, comment);
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
  const how = outcomeName(outcome);
  return new CliError(
    EXIT.REFUSED,
    `This wait is already resolved: ${how}${by}${at === undefined ? "" : ` at ${formatTime(at)}`}.`,
    { reason: "WAIT_ALREADY_RESOLVED", metadata: { outcome: how, resolved_by: resolvedBy } },
  );
}
