import { writeFile } from "node:fs/promises";
import { create } from "@bufbuild/protobuf";
import { JournalEntrySchema } from "@pawl/proto";
import { formatJournal } from "../../replay/journal-file.ts";
import { clientCommand } from "../shared/client-command.ts";
import { CliError, EXIT } from "../shared/exit.ts";
import { download, readJournal } from "../shared/run-text.ts";

export const run = clientCommand(async (server, args, terminal) => {
  const runId = args.positional(0);
  const { run } = await server.runs.getRun({ runId });
  if (run === undefined) throw new Error("The server answered without a run.");
  const entries = [];
  for (const entry of await readJournal(server, runId)) {
    const payload = entry.payload && (await download(server, entry.payload));
    entries.push(payload ? create(JournalEntrySchema, { ...entry, payload }) : entry);
  }
  const text = formatJournal({ run, entries });
  const file = args.text("output");
  if (file === undefined) {
    terminal.out(text.trimEnd());
    return EXIT.OK;
  }
  try {
    await writeFile(file, text);
  } catch (cause) {
    const said = cause instanceof Error ? cause.message : String(cause);
    throw new CliError(EXIT.USAGE, `Cannot write ${file}: ${said}.`, {
      reason: "USAGE",
      cause,
    });
  }
  if (args.flag("json")) terminal.out(JSON.stringify({ file, entries: entries.length }));
  else terminal.out(`${file}: ${runId}, ${entries.length} entries`);
  return EXIT.OK;
});
