/** Recording an answer, and saying what came of it. */
import { create } from "@bufbuild/protobuf";
import {
  type AnswerWaitResponse,
  AnswerWaitResponseSchema,
  type Payload,
  PayloadSchema,
  QuestionType,
  type Wait,
  WaitKind,
  WaitOutcome,
} from "@pawl/proto";
import type { Run } from "../catalog/command.ts";
import { outcomeName } from "../render/wait-outcome.ts";
import type { Args } from "./args.ts";
import { clientCommand, printJson, type Server } from "./client-command.ts";
import { EXIT, usageError } from "./exit.ts";
import { actorOf, findWait, quoted } from "./open-waits.ts";
import type { Terminal } from "./terminal.ts";

/** What an answer is recorded with. */
export interface Answering {
  readonly server: Server;
  readonly wait: Wait;
  readonly args: Args;
  readonly terminal: Terminal;
}

export function jsonPayload(value: unknown): Payload {
  const data = Buffer.from(JSON.stringify(value), "utf8");
  return create(PayloadSchema, { data, encoding: "json" });
}

export async function recordAnswer(
  { server, wait, args, terminal }: Answering,
  answer: Payload | "skip",
  comment = args.text("comment") ?? "",
): Promise<AnswerWaitResponse> {
  return await server.waits.answerWait({
    waitId: wait.waitId,
    resolutionId: args.text("answer-id") ?? "",
    response: answer === "skip" ? { case: "skip", value: true } : { case: "answer", value: answer },
    actor: actorOf(args, terminal),
    comment,
  });
}

export function printAnswer(response: AnswerWaitResponse, args: Args, terminal: Terminal): void {
  if (args.flag("json")) {
    printJson(terminal, AnswerWaitResponseSchema, response);
    return;
  }
  const { wait, duplicate } = response;
  if (wait === undefined) return;
  terminal.out(wait.waitId);
  if (duplicate) {
    terminal.note("This answer was already recorded.");
  } else if (wait.outcome === WaitOutcome.UNSPECIFIED) {
    const needed = wait.question?.approvalsNeeded ?? 1;
    terminal.note(`Recorded: ${wait.answers.length} of ${needed} approvals so far.`);
  } else {
    const approved = wait.answers.at(-1)?.approved;
    const said =
      approved === undefined ? outcomeName(wait.outcome) : approved ? "approved" : "rejected";
    terminal.note(`Recorded: ${said}${wait.resolvedBy === "" ? "" : ` by ${wait.resolvedBy}`}.`);
  }
}

/** `pawl approve` and `pawl reject`: the answer to an approval. */
export function answerApproval(approved: boolean): Run {
  return clientCommand(async (server, args, terminal) => {
    const typed = args.positional(0);
    const wait = await findWait(server, typed, [WaitKind.USER]);
    if (wait.question?.type !== QuestionType.APPROVAL) {
      throw usageError(
        `"${wait.question?.prompt ?? wait.name}" needs a full answer.`,
        `Use \`pawl answer ${quoted(typed)}\`.`,
      );
    }
    const response = await recordAnswer({ server, wait, args, terminal }, jsonPayload(approved));
    printAnswer(response, args, terminal);
    return EXIT.OK;
  });
}
