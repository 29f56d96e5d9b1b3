import type { Run } from "../catalog/command.ts";
import { completionScript } from "../render/completion.ts";
import { EXIT } from "../shared/exit.ts";

export const run: Run = (args, terminal) => {
  const script = completionScript(args.positional(0));
  terminal.out(args.flag("json") ? JSON.stringify({ script }) : script.trimEnd());
  return Promise.resolve(EXIT.OK);
};
