/** Commands about what runs wait for, and about who executes them. */
import type { Command, Positional } from "./command.ts";
import {
  ACTOR_OPTION,
  COMMENT_OPTION,
  LIMIT_OPTION,
  RUN_FILTER,
  WORKFLOW_FILTER,
} from "./common-options.ts";

const WAIT_ID: Positional = {
  name: "WAIT_ID",
  help: "The wait's id, the run's id, or the beginning of either, if that matches one open wait only.",
};

const ANSWER_OPTIONS = {
  ...COMMENT_OPTION,
  "answer-id": {
    type: "string",
    value: "ID",
    help: "Idempotency id: repeating it does not answer twice.",
    default: "a new id",
  },
  ...ACTOR_OPTION,
} as const;

const group = "Human input";

export const WAIT_COMMANDS: readonly Command[] = [
  {
    name: "waits",
    group,
    summary: "Show what runs wait for, and how to answer",
    about: `
      Shows the questions, signals and callbacks that runs wait for, oldest first, each with the
      command that answers it.`,
    positionals: [],
    options: {
      mine: { type: "boolean", help: "Only questions that you may answer." },
      assignee: {
        type: "string",
        value: "NAME",
        help: "Only questions that name this assignee.",
        default: "",
      },
      ...WORKFLOW_FILTER,
      ...RUN_FILTER,
      kind: {
        type: "string",
        multiple: true,
        value: "KIND",
        choices: ["user", "signal", "callback", "sleep", "child"],
        help: "Only waits of this kind.",
        default: "user, signal and callback",
      },
      closed: {
        type: "boolean",
        help: "Show waits that no code waits for any more, and why: branches that lost a race, and questions that newer code no longer asks.",
      },
      ...LIMIT_OPTION,
      ...ACTOR_OPTION,
    },
    examples: ["pawl waits --mine", "pawl waits --kind user --workflow expense --json"],
    load: () => import("../commands/wait-list.ts"),
  },
  {
    name: "answer",
    group,
    summary: "Answer a question that a run asks",
    about: `
      Answers a question, or completes a callback by hand. Without an answer on the command line, it
      shows the question and reads the answer from standard input.`,
    positionals: [
      WAIT_ID,
      {
        name: "VALUE",
        optional: true,
        repeated: true,
        help: "A text, yes or no, an option, several options, or FIELD=VALUE for each field of a form.",
      },
    ],
    options: {
      "json-answer": {
        type: "string",
        value: "JSON",
        help: "The answer as JSON; the only form that a callback takes.",
        default: "",
      },
      skip: { type: "boolean", help: "Decline to answer, if the question allows it." },
      ...ANSWER_OPTIONS,
    },
    examples: [
      "pawl answer order-17",
      'pawl answer order-17 "the blue one"',
      "pawl answer import-3 column=age drop=yes",
    ],
    load: () => import("../commands/wait-answer.ts"),
  },
  {
    name: "approve",
    group,
    summary: "Approve what a run asks for",
    about: "Approves what a run asks for.",
    positionals: [WAIT_ID],
    options: ANSWER_OPTIONS,
    examples: ['pawl approve expense-17 --comment "as agreed"'],
    load: () => import("../commands/wait-approve.ts"),
  },
  {
    name: "reject",
    group,
    summary: "Reject what a run asks for",
    about: "Rejects what a run asks for. One rejection ends the approval.",
    positionals: [WAIT_ID],
    options: ANSWER_OPTIONS,
    examples: ['pawl reject expense-17 --comment "too much"'],
    load: () => import("../commands/wait-reject.ts"),
  },
];
