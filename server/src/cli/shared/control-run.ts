/** The commands that do one thing to one run: each asks, prints, and is done. */
import type { DescMessage, MessageShape } from "@bufbuild/protobuf";
import type { Run } from "@pawl/proto";
import type { Args, Command, Option } from "./args.ts";
import { clientCommand, printJson, type Server } from "./client-command.ts";
import { EXIT } from "./exit.ts";
import { styledState } from "./run-text.ts";

export interface Steering<O extends DescMessage> {
  readonly usage: string;
  readonly about: string;
  readonly options?: Readonly<Record<string, Option>>;
  readonly schema: O;
  readonly ask: (server: Server, runId: string, args: Args) => Promise<MessageShape<O>>;
  /** What to say when it worked. */
  readonly said: (response: MessageShape<O>) => {
    readonly run?: Run | undefined;
    /** Printed instead of the state, while that is about to change. */
    readonly word?: string;
    readonly text: string;
  };
}

export function steering<O extends DescMessage>(options: Steering<O>): Command {
  return clientCommand({
    usage: options.usage,
    about: options.about,
    options: options.options ?? {},
    async run(server, args, terminal) {
      const runId = args.positional(0, "The run's id");
      const response = await options.ask(server, runId, args);
      if (args.flag("json")) {
        printJson(terminal, options.schema, response);
        return EXIT.OK;
      }
      const { run, word, text } = options.said(response);
      const shown = word ?? (run === undefined ? "" : styledState(terminal, run.state));
      const state = shown === "" ? "" : `  ${shown}`;
      terminal.out(`${runId}${state}`);
      if (text !== "") terminal.note(text);
      return EXIT.OK;
    },
  });
}
