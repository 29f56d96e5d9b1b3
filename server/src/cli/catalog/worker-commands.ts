/** Commands that show timers, workers and workflows. */
import type { Command } from "./command.ts";
import {
  ACTOR_OPTION,
  COMMENT_OPTION,
  LIMIT_OPTION,
  RUN_FILTER,
  WORKFLOW_FILTER,
} from "./common-options.ts";

const group = "Timers and workers";

export const WORKER_COMMANDS: readonly Command[] = [
  {
    name: "timers",
    group,
    summary: "List the timers of sleeping runs, or cancel one",
    about: `
      Lists the timers that runs sleep on and when they are due, except those due within two seconds.
      With --cancel, cancels one: its sleep throws WaitCancelledError in the run's code.`,
    positionals: [],
    options: {
      ...WORKFLOW_FILTER,
      ...RUN_FILTER,
      ...LIMIT_OPTION,
      cancel: {
        type: "string",
        value: "WAIT_ID",
        help: "Cancel this timer; the run's id will do if the run has only one.",
        default: "",
      },
      ...COMMENT_OPTION,
      ...ACTOR_OPTION,
    },
    examples: ["pawl timers --workflow reminder", "pawl timers --cancel reminder-ada"],
    load: () => import("../commands/timer-list.ts"),
  },
  {
    name: "workers",
    group,
    summary: "List the workers",
    about: "Lists the workers that were connected in the last hour, connected ones first.",
    positionals: [],
    options: {},
    examples: ["pawl workers"],
    load: () => import("../commands/worker-list.ts"),
  },
  {
    name: "workflows",
    group,
    summary: "List the workflows and the workers that serve them",
    about: "Lists the workflows that workers have registered, and which workers serve them now.",
    positionals: [],
    options: {},
    examples: ["pawl workflows"],
    load: () => import("../commands/workflow-list.ts"),
  },
];
