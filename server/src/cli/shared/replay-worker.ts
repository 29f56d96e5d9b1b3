/** The worker of a replay: a process that connects to the server in PAWL_URL. */
import { spawn } from "node:child_process";
import { once } from "node:events";
import { existsSync } from "node:fs";
import { extname, resolve } from "node:path";
import { endProcess } from "./end-process.ts";
import { usageError } from "./exit.ts";

/** How long it may take to end in order. */
const STOP_MS = 2_000;
/** What of its output is told when it ends before its time: an error's message is above its stack. */
const LINES = 30;

/** How a worker file is run, by its ending. */
export function workerCommand(file: string): readonly [program: string, ...args: string[]] {
  if (!existsSync(file)) throw usageError(`There is no file ${file}.`);
  const path = resolve(file);
  switch (extname(path)) {
    case ".ts":
    case ".mts":
    case ".js":
    case ".mjs":
      return [process.execPath, "--enable-source-maps", path];
    case ".py":
      return [process.env.VIRTUAL_ENV ? `${process.env.VIRTUAL_ENV}/bin/python` : "python3", path];
    case ".go":
      return ["go", "run", path];
    default:
      return [path];
  }
}

export function startReplayWorker(
  [program, ...args]: readonly [string, ...string[]],
  env: Readonly<Record<string, string | undefined>>,
): { readonly ended: Promise<never>; stop(): Promise<void> } {
  const child = spawn(program, args, { env, stdio: ["ignore", "ignore", "pipe"] });
  let tail = "";
  child.stderr.on("data", (piece: Buffer) => {
    tail = (tail + piece.toString("utf8")).slice(-4_000);
  });
  const exited = once(child, "exit").catch((error: unknown) => [String(error)]);
  const ended = exited.then(([code, signal]): never => {
    const how = signal ?? (typeof code === "number" ? `exit code ${code}` : code);
    const said = tail.trimEnd().split("\n").slice(-LINES).join("\n");
    throw new Error(`The worker ended (${how}).${said === "" ? "" : ` It said:\n${said}`}`);
  });
  return {
    ended,
    stop: () => endProcess(child, STOP_MS),
  };
}
