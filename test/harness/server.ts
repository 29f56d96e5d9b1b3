/**
 * A Pawl server in a process of its own, on ports of its own: what tests start, kill and ask.
 */
import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { createInterface } from "node:readline";

/** The program `pawl`. */
export const serverMain = join(import.meta.dirname, "..", "..", "server", "bin", "pawl.js");

export interface ServerOptions {
  /** Store URL; default: a new SQLite file that goes with the server object. */
  store?: string;
  /** `host:port`; default: a free port. Give the old one to a restarted server. */
  grpc?: string;
  http?: string;
  env?: Readonly<Record<string, string>>;
  /** More arguments of `pawl serve`. */
  args?: readonly string[];
  /** A program that becomes the server: it gets the server's command line as its last arguments. */
  launcher?: readonly string[];
}

export interface TestServer {
  /** For workers and gRPC clients, as http://host:port. */
  readonly grpcUrl: string;
  /** The same as host:port. */
  readonly grpcAddress: string;
  readonly httpUrl: string;
  readonly httpAddress: string;
  readonly store: string;
  readonly pid: number;
  /** From the start of the process until it could be used, by its own clock. */
  readonly readyMs: number;
  /** The end of its log, one JSON object per line. */
  log(): string;
  /** Sends a signal, SIGKILL by default, and waits for the process to end. */
  kill(signal?: NodeJS.Signals): Promise<void>;
  /** Ends it in an orderly way; returns its exit code. Safe after a kill. */
  stop(): Promise<number>;
  [Symbol.asyncDispose](): Promise<void>;
}

interface Ready {
  grpc: string;
  http: string;
  grpcUrl: string;
  httpUrl: string;
  pid: number;
  readyMs: number;
}

const logLinesMax = 2_000;

/** Starts `pawl serve` and waits until it is ready. Rejects with its log where it does not start. */
export async function startServer(options: ServerOptions = {}): Promise<TestServer> {
  const folder = await mkdtemp(join(tmpdir(), "pawl-server-"));
  const store = options.store ?? join(folder, "pawl.db");
  const args = [
    serverMain,
    "serve",
    ...["--store", store, "--migrate", "--json"],
    ...["--grpc", options.grpc ?? "127.0.0.1:0", "--http", options.http ?? "127.0.0.1:0"],
    ...(options.args ?? []),
  ];
  const [program = process.execPath, ...before] = options.launcher ?? [];
  const child = spawn(program, options.launcher ? [...before, process.execPath, ...args] : args, {
    cwd: folder,
    env: { ...withoutPawl(process.env), ...options.env },
    stdio: ["ignore", "pipe", "pipe"],
  });
  const lines = keepLines(child);
  const ended = once(child, "exit");
  const ready = await Promise.race([readyLine(child), ended.then(() => undefined)]);
  if (ready === undefined) {
    await rm(folder, { recursive: true, force: true });
    throw new Error(`The server did not start (code ${child.exitCode}):\n${lines.join("\n")}`);
  }
  const end = async (signal: NodeJS.Signals): Promise<number> => {
    if (child.exitCode === null && child.signalCode === null) child.kill(signal);
    await ended;
    return child.exitCode ?? 1;
  };
  const stop = async (): Promise<number> => {
    const code = await end("SIGTERM");
    await rm(folder, { recursive: true, force: true });
    return code;
  };
  return {
    grpcUrl: ready.grpcUrl,
    grpcAddress: ready.grpc,
    httpUrl: ready.httpUrl,
    httpAddress: ready.http,
    store,
    pid: ready.pid,
    readyMs: ready.readyMs,
    log: () => lines.join("\n"),
    kill: async (signal = "SIGKILL") => void (await end(signal)),
    stop,
    [Symbol.asyncDispose]: async () => void (await stop()),
  };
}

/** The environment without settings that would change what is tested. */
export function withoutPawl(env: NodeJS.ProcessEnv): NodeJS.ProcessEnv {
  return Object.fromEntries(Object.entries(env).filter(([name]) => !name.startsWith("PAWL_")));
}

function keepLines(child: ChildProcess): string[] {
  const lines: string[] = [];
  if (child.stderr === null) return lines;
  createInterface({ input: child.stderr }).on("line", (line) => {
    lines.push(line);
    if (lines.length > logLinesMax) lines.shift();
  });
  return lines;
}

async function readyLine(child: ChildProcess): Promise<Ready | undefined> {
  if (child.stdout === null) return undefined;
  for await (const line of createInterface({ input: child.stdout })) {
    const said = JSON.parse(line) as { event?: string; error?: { message: string } } & Ready;
    if (said.event === "ready") {
      child.stdout.resume();
      return said;
    }
    if (said.error !== undefined) throw new Error(said.error.message);
  }
  return undefined;
}
