import { readFile } from "node:fs/promises";
import { SILENT_LOG } from "../../lib/log.ts";
import { JournalFileError, parseJournals, type RecordedRun } from "../../replay/journal-file.ts";
import type { Outcome, Verdict } from "../../replay/rehearsal.ts";
import { replay } from "../../replay/replay.ts";
import type { Run } from "../catalog/command.ts";
import { CliError, EXIT, usageError } from "../shared/exit.ts";
import { startReplayWorker, workerCommand } from "../shared/replay-worker.ts";
import type { Style, Terminal } from "../shared/terminal.ts";

const TIMEOUT_MS = 30_000;
const TIMEOUT_MAX_MS = 3_600_000;

export const run: Run = async (args, terminal) => {
  const worker = workerCommand(args.text("worker") ?? "");
  const timeoutMs = args.duration("timeout", TIMEOUT_MAX_MS) ?? TIMEOUT_MS;
  const runs = (await Promise.all(args.positionals.map(read))).flat();
  const ids = runs.map(({ run: { runId } }) => runId);
  const twice = ids.find((id, i) => ids.indexOf(id) !== i);
  if (twice !== undefined) throw usageError(`The run ${twice} is given twice.`);
  let verdicts: Verdict[];
  try {
    verdicts = await replay({
      runs,
      startWorker: (url) => startReplayWorker(worker, { ...terminal.env, PAWL_URL: url }),
      timeoutMs,
      log: SILENT_LOG,
    });
  } catch (cause) {
    const message = cause instanceof Error ? cause.message : String(cause);
    throw new CliError(EXIT.REFUSED, message, { reason: "REPLAY_FAILED", cause });
  }
  const allowed = new Set(args.list("allow"));
  const unfit = verdicts.filter((verdict) => !fits(verdict, allowed)).length;
  if (args.flag("json")) terminal.out(JSON.stringify({ replays: verdicts }, undefined, 2));
  else show(verdicts, unfit, terminal);
  return unfit === 0 ? EXIT.OK : EXIT.RUN_FAILED;
};

async function read(file: string): Promise<RecordedRun[]> {
  let text: string;
  try {
    text = await readFile(file, "utf8");
  } catch (cause) {
    const code = cause instanceof Error && "code" in cause ? String(cause.code) : String(cause);
    throw usageError(`Cannot read ${file}: ${code}.`);
  }
  try {
    return parseJournals(text);
  } catch (cause) {
    if (cause instanceof JournalFileError) throw usageError(`${file}: ${cause.message}.`);
    throw cause;
  }
}

const FITS: Readonly<Record<Outcome, boolean>> = {
  same: true,
  open: true,
  more: false,
  different: false,
  mismatch: false,
};

/** Whether the code fits the record, but for steps that may be new or gone. */
function fits({ outcome, next, unconsumed }: Verdict, allowed: ReadonlySet<string>): boolean {
  // What comes after a step that may be new was not asked for because the replay stops there.
  const isNew = next.length > 0 && next.every((key) => allowed.has(key));
  if (isNew && (outcome === "open" || outcome === "more")) return true;
  return FITS[outcome] && unconsumed.every((key) => allowed.has(key));
}

const WORDS: Readonly<Record<Outcome, readonly [word: string, style: Style]>> = {
  same: ["same", "green"],
  open: ["continues", "green"],
  more: ["MORE", "red"],
  different: ["DIFFERENT", "red"],
  mismatch: ["MISMATCH", "red"],
};

function show(verdicts: readonly Verdict[], unfit: number, terminal: Terminal): void {
  const width = Math.max(...verdicts.map(({ runId }) => runId.length));
  for (const { runId, outcome, length, detail, next, unconsumed } of verdicts) {
    const [word, style] = WORDS[outcome];
    const entries = `${length} ${length === 1 ? "entry" : "entries"}`;
    terminal.out(`${runId.padEnd(width)}  ${terminal.style(style, word.padEnd(9))}  ${entries}`);
    const indent = " ".repeat(width + 2);
    if (detail !== "") terminal.out(`${indent}${detail}`);
    if (next.length > 0) terminal.out(`${indent}next: ${next.join(", ")}`);
    if (unconsumed.length > 0)
      terminal.out(`${indent}recorded, but no longer executed: ${unconsumed.join(", ")}`);
  }
  const all = verdicts.length;
  terminal.out(
    unfit === 0
      ? `${all === 1 ? "The journal fits" : `All ${all} journals fit`} the code.`
      : `${unfit} of ${all} ${all === 1 ? "journal does" : "journals do"} not fit the code: such runs would ` +
          "pause, end differently, or execute a renamed step again. Accept a new or removed step with --allow STEP.",
  );
}
