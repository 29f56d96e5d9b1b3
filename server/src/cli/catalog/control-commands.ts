/** Commands that change what a run does. */
import type { Command } from "./command.ts";
import { REASON_OPTION, RUN_ID } from "./common-options.ts";

const group = "Control runs";

export const CONTROL_COMMANDS: readonly Command[] = [
  {
    name: "signal",
    group,
    summary: "Send a signal to a run",
    about: `
      Sends a signal to a run. A signal that the run is not waiting for yet is kept until it does.
      Sending the same signal id twice counts as one signal.`,
    positionals: [RUN_ID, { name: "SIGNAL", help: "The signal's name." }],
    options: {
      data: { type: "string", value: "JSON", help: "The payload.", default: "no payload" },
      file: {
        type: "string",
        value: "FILE",
        help: "Read the payload from a file (- for standard input).",
        default: "",
      },
      "signal-id": {
        type: "string",
        value: "ID",
        help: "Idempotency id: repeating it does not send another signal.",
        default: "a new id",
      },
      actor: {
        type: "string",
        value: "NAME",
        help: "Who sends it; shown in the run's history.",
        default: "",
      },
    },
    examples: [`pawl signal order-1 paid --data '{"amount": 20}'`],
    load: () => import("../commands/signal-send.ts"),
  },
  {
    name: "pause",
    group,
    summary: "Pause a run at its next step",
    about: `
      Pauses a run once the steps that are executing have ended. \`pawl resume\` continues it.`,
    positionals: [RUN_ID],
    options: REASON_OPTION,
    examples: [`pawl pause order-1 --reason "payment provider is down"`],
    load: () => import("../commands/run-pause.ts"),
  },
  {
    name: "resume",
    group,
    summary: "Resume a paused run",
    about: "Resumes a paused run as soon as a worker is free.",
    positionals: [RUN_ID],
    options: {},
    examples: ["pawl resume order-1"],
    load: () => import("../commands/run-resume.ts"),
  },
  {
    name: "retry",
    group,
    summary: "Retry a failed run from the step that failed",
    about: `
      Retries a failed run from the step that failed; completed steps keep their results. A run that
      is paused because a step used up its attempts gets new attempts. A cancelled run executes the
      compensations that are still pending, and nothing else.`,
    positionals: [RUN_ID],
    options: {},
    examples: ["pawl retry order-1"],
    load: () => import("../commands/run-retry.ts"),
  },
  {
    name: "cancel",
    group,
    summary: "Cancel a run",
    about: `
      Cancels a run. A run that has begun first cleans up, in the worker that holds it or in the
      next one that serves its workflow. \`pawl status\` shows compensations that were not executed,
      and \`pawl retry\` executes them.`,
    positionals: [RUN_ID],
    options: {
      ...REASON_OPTION,
      grace: {
        type: "string",
        value: "DURATION",
        help: "How long a worker may clean up once it holds the run, 1h at most.",
        default: "10s",
      },
      force: { type: "boolean", help: "Cancel at once, without a worker and without cleaning up." },
    },
    examples: [
      `pawl cancel order-1 --reason "customer called" --grace 30s`,
      "pawl cancel order-1 --force",
    ],
    load: () => import("../commands/run-cancel.ts"),
  },
  {
    name: "delete",
    group,
    summary: "Delete a run that has ended",
    about: "Deletes a run that has ended, with its journal and all its data.",
    positionals: [RUN_ID],
    options: {},
    examples: ["pawl delete order-1"],
    load: () => import("../commands/run-delete.ts"),
  },
];
