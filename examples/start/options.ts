/** What `pnpm start` was asked for. */
import { stat } from "node:fs/promises";
import { dirname, join, resolve } from "node:path";
import { parseArgs } from "node:util";
import { filesMax, listTexts } from "../digest/files.ts";
import { Complaint } from "./complaint.ts";

/** The workspace's root folder. */
export const root = join(import.meta.dirname, "..", "..");

export const help = `Shows Pawl at work: a server, two workers, and a run that loses its worker half way.

  npx -y pnpm@12 start [-- OPTIONS]

  --input DIR   digest the Markdown and text files of this folder; by default Pawl's own
  --once        end after the demonstration instead of continuing to serve
  --help        print this

Environment:

  PAWL_DATA_DIR   where the store, logs and reports are kept; .pawl in the clone by default
  PAWL_GRPC       where workers connect, HOST:PORT; 127.0.0.1:50051 by default
  PAWL_HTTP       where HTTP is served, HOST:PORT; 127.0.0.1:8000 by default
                  (a default port that is taken is replaced by a free one)
  NO_COLOR        no colours

Exit code: 0 if everything that is shown held, 1 if not, 2 for a wrong command line, 130 for Ctrl-C
during the demonstration.`;

export interface Options {
  readonly help: boolean;
  /** Absolute path of the folder with the texts. */
  readonly input: string;
  /** How many texts there are. */
  readonly texts: number;
  readonly once: boolean;
  readonly dataDir: string;
  /** Undefined: the default one, or a free one where that is taken. */
  readonly grpc: string | undefined;
  readonly http: string | undefined;
}

/**
 * Reads arguments and environment. Relative paths start where the command was called, which under
 * pnpm is not the working directory.
 *
 * @throws Complaint where something is not as it has to be.
 */
export async function readOptions(
  argv: readonly string[],
  env: Readonly<Record<string, string | undefined>>,
): Promise<Options> {
  const { values } = parse(argv);
  const calledFrom = env.INIT_CWD ?? process.cwd();
  const input = values.input === undefined ? root : resolve(calledFrom, values.input);
  return {
    help: values.help ?? false,
    input,
    texts: values.help === true ? 0 : await countTexts(input),
    once: values.once ?? false,
    dataDir: env.PAWL_DATA_DIR ? resolve(calledFrom, env.PAWL_DATA_DIR) : join(root, ".pawl"),
    grpc: env.PAWL_GRPC || undefined,
    http: env.PAWL_HTTP || undefined,
  };
}

/** @throws Complaint where there is nothing to digest, or too much. */
async function countTexts(input: string): Promise<number> {
  const found = await stat(input).catch(() => undefined);
  if (found === undefined) throw new Complaint(2, `--input: ${input} does not exist.`);
  if (!found.isDirectory()) {
    throw new Complaint(2, `--input: ${input} is a file; name its folder, ${dirname(input)}.`);
  }
  const { length } = await listTexts(input).catch((cause: unknown) => {
    const said = cause instanceof Error ? cause.message : String(cause);
    throw new Complaint(2, `--input: ${input} cannot be read: ${said}.`, { cause });
  });
  if (length === 0) throw new Complaint(2, `No Markdown or text file is in ${input} or below.`);
  if (length > filesMax) {
    throw new Complaint(
      2,
      `More than ${filesMax} texts are in ${input} and below; name a smaller folder.`,
    );
  }
  return length;
}

function parse(argv: readonly string[]) {
  try {
    return parseArgs({
      // pnpm hands on the `--` that keeps it from reading the options itself.
      args: argv.filter((arg) => arg !== "--"),
      options: {
        input: { type: "string" },
        once: { type: "boolean" },
        help: { type: "boolean", short: "h" },
      },
    });
  } catch (cause) {
    const said = cause instanceof Error ? cause.message : String(cause);
    const hint = "`npx -y pnpm@12 start -- --help` lists the options.";
    throw new Complaint(2, `${said.split(". ", 1)[0]}. ${hint}`, { cause });
  }
}
