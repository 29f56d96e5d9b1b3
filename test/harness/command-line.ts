/** The command lines of the programs in here that people start: `pnpm chaos`, `pnpm fuzz` and others. */
import { type ParseArgsOptionsConfig, parseArgs } from "node:util";

/**
 * Reads the options of the process. `--help` prints the help and ends it with code 0; options that do
 * not fit end it with code 2 and say what is wrong.
 */
export function readOptions<const O extends ParseArgsOptionsConfig>(help: string, options: O) {
  // pnpm hands its own `--` on.
  const args = process.argv.slice(2).filter((arg) => arg !== "--");
  if (args.includes("--help") || args.includes("-h")) {
    console.log(help);
    process.exit(0);
  }
  try {
    return parseArgs({ args, options }).values;
  } catch (error) {
    // What follows the first sentence is about positional arguments, which there are none of.
    const [what = ""] = (error instanceof Error ? error.message : String(error)).split(". ");
    return refuse(`${what.replace(/\.$/, "")}.`);
  }
}

/** The number that an option gives; ends the process with code 2 if it is not one. */
export function readNumber(option: string, text: string, least = 0): number {
  const value = Number(text);
  if (text.trim() !== "" && Number.isSafeInteger(value) && value >= least) return value;
  return refuse(`--${option} is "${text}"; it must be a whole number from ${least} on.`);
}

/** Ends the process with code 2, since its options do not fit. */
export function refuse(why: string): never {
  console.error(`${why} --help lists the options.`);
  process.exit(2);
}
