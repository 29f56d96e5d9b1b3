/** The commands that do one thing to one run: each makes one call and prints its result. */
import type { DescMessage, MessageShape } from "@bufbuild/protobuf";
import type { Run } from "@pawl/proto";
import type { Run as RunCommand } from "../catalog/command.ts";
import type { Args } from "./args.ts";
import { clientCommand, printJson, type Server } from "./client-command.ts";
import { EXIT } from "./exit.ts";
import { styledStatus } from "./run-text.ts";

export interface Control<O extends DescMessage> {
  readonly schema: O;
  readonly call: (server: Server, runId: string, args: Args) => Promise<MessageShape<O>>;
  /** What to print once it has worked. */
  readonly describe: (response: MessageShape<O>) => {
    readonly run?: Run | undefined;
    /** Printed instead of the status, while that is about to change. */
    readonly word?: string;
    readonly text: string;
  };
}

export function controlRun<O extends DescMessage>({
  schema,
  call,
  describe,
}: Control<O>): RunCommand {
  return clientCommand(async (server, args, terminal) => {
    const runId = args.positional(0);
    const response = await call(server, runId, args);
    if (args.flag("json")) {
      printJson(terminal, schema, response);
      return EXIT.OK;
    }
    const { run, word, text } = describe(response);
    const shown = word ?? (run === undefined ? "" : styledStatus(terminal, run.status));
    terminal.out(shown === "" ? runId : `${runId}  ${shown}`);
    if (text !== "") terminal.note(text);
    return EXIT.OK;
  });
}
