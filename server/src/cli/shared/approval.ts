/** `pawl approve` and `pawl reject`: an approval answered in one word. */
import { QuestionType, StepKind } from "@pawl/proto";
import { jsonPayload, resolve, tell } from "../commands/wait-answer.ts";
import type { Command } from "./args.ts";
import { clientCommand } from "./client-command.ts";
import { EXIT, usageError } from "./exit.ts";
import { ACTOR_OPTION, findWait, quoted } from "./open-waits.ts";

export function verdict(name: "approve" | "reject"): Command {
  const approves = name === "approve";
  return clientCommand({
    usage: `${name} WAIT_ID [--comment TEXT]`,
    about: approves
      ? "Approves what a run asks. WAIT_ID may be the run's id, or the beginning of one, where that leaves one open question."
      : "Rejects what a run asks, which ends the approval. WAIT_ID as in `pawl approve`.",
    options: {
      comment: { type: "string", value: "TEXT", help: "Why, for the record." },
      "resolution-id": {
        type: "string",
        value: "ID",
        help: "For deduplication: the same again is one answer.",
      },
      ...ACTOR_OPTION,
    },
    examples: [`pawl ${name} expense-17 --comment "${approves ? "as agreed" : "too much"}"`],
    async run(server, args, terminal) {
      const typed = args.positional(0, "The wait's id");
      const wait = await findWait(server, typed, [StepKind.USER]);
      if (wait.question?.type !== QuestionType.APPROVAL) {
        throw usageError(
          `"${wait.question?.prompt ?? wait.name}" asks for more than a yes or a no.`,
          `pawl answer ${quoted(typed)} answers it.`,
        );
      }
      const response = await resolve({ server, wait, args, terminal }, jsonPayload(approves));
      tell(response, args, terminal);
      return EXIT.OK;
    },
  });
}
