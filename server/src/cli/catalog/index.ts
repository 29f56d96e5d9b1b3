/** The commands of `pawl`, in the order in which help and documentation show them. */

import type { Command, Options } from "./command.ts";
import { CLIENT_OPTIONS, GLOBAL_OPTIONS } from "./common-options.ts";
import { CONTROL_COMMANDS } from "./control-commands.ts";
import { RUN_COMMANDS } from "./run-commands.ts";
import { ACCESS_COMMANDS, SERVER_COMMANDS } from "./server-commands.ts";
import { WAIT_COMMANDS } from "./wait-commands.ts";
import { WORKER_COMMANDS } from "./worker-commands.ts";

const CLIENT_COMMANDS = [
  RUN_COMMANDS,
  CONTROL_COMMANDS,
  WAIT_COMMANDS,
  WORKER_COMMANDS,
  ACCESS_COMMANDS,
].flat();

export const COMMANDS: readonly Command[] = [...SERVER_COMMANDS, ...CLIENT_COMMANDS];

/** The options that a command shares with others: they stand apart in its help. */
export function commonOptions(command: Command): Options {
  return CLIENT_COMMANDS.includes(command)
    ? { ...CLIENT_OPTIONS, ...GLOBAL_OPTIONS }
    : GLOBAL_OPTIONS;
}

export function groupsOf(commands: readonly Command[]): Map<string, Command[]> {
  return Map.groupBy(commands, ({ group }) => group);
}
