/**
 * The processes that the demonstration is made of. Each is in a group of its own, so that Ctrl-C
 * reaches this one only, which then ends the others in order. Should this one be killed, a guard
 * ends them.
 */
import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { closeSync, openSync } from "node:fs";
import { createServer } from "node:net";
import { join } from "node:path";
import { createInterface } from "node:readline";
import { Complaint } from "./complaint.ts";
import { root } from "./options.ts";

const program = join(root, "server", "bin", "pawl.js");
const workerProgram = join(root, "examples", "digest", "worker.ts");
/** How long a process may take to end before it is killed. */
const stopMs = 8_000;

export interface Running {
  readonly name: string;
  readonly pid: number;
  /** Resolves when the process has ended, with how. */
  readonly ended: Promise<string>;
}

export interface Server extends Running {
  /** For workers. */
  readonly grpcUrl: string;
  readonly httpUrl: string;
  readonly readyMs: number;
}

/** Starts processes and ends all of them. */
export class Processes {
  readonly #children = new Map<ChildProcess, Promise<string>>();
  readonly #logDir: string;
  readonly #guard = startGuard();
  #stopping = false;

  /** @param logDir an existing folder; what processes log goes into a file there, by their name. */
  constructor(logDir: string) {
    this.#logDir = logDir;
    process.on("exit", this.#killAll);
  }

  /** Starts the server; `grpc` and `http` are HOST:PORT. */
  async startServer(dataDir: string, grpc: string, http: string): Promise<Server> {
    const store = join(dataDir, "pawl.db");
    const args = ["serve", "--store", store, "--migrate", "--grpc", grpc, "--http", http, "--json"];
    const { child, ended, pid } = this.#start("server", [program, ...args], {});
    const line = await Promise.race([firstLine(child), ended.then(() => "")]);
    const said = parseServerLine(line);
    if ("message" in said) {
      const message = said.reason === "IN_USE" ? inUse(store) : said.message;
      throw new Complaint(1, `The server does not start. ${message}`);
    }
    return { name: "server", pid, ended, ...said };
  }

  /** Starts a worker and waits until the server knows of it. */
  async startWorker(name: string, url: string, env: Record<string, string>): Promise<Running> {
    const started = this.#start(name, [workerProgram, name], { PAWL_URL: url, ...env });
    const { child, ended, pid } = started;
    const line = await Promise.race([firstLine(child), ended.then(() => "")]);
    if (line === "")
      throw new Complaint(1, `${name} did not start; ${this.#logOf(name)} says why.`);
    return { name, pid, ended };
  }

  /** Sends SIGKILL, which no process can catch, and waits for the end. */
  readonly kill = async (running: Running): Promise<void> => {
    process.kill(running.pid, "SIGKILL");
    await running.ended;
  };

  /** Ends all, the last started first: in order, and where that takes too long, at once. */
  async stopAll(): Promise<void> {
    this.#stopping = true;
    for (const [child, ended] of [...this.#children].reverse()) {
      child.kill("SIGTERM");
      const late = setTimeout(() => child.kill("SIGKILL"), stopMs);
      await ended;
      clearTimeout(late);
    }
    this.#guard?.stdin?.end();
    process.off("exit", this.#killAll);
  }

  /** Whether it is being stopped, so that the end of a process is not a surprise. */
  get stopping(): boolean {
    return this.#stopping;
  }

  #start(name: string, args: string[], env: Record<string, string>) {
    const log = openSync(this.#logOf(name), "a");
    const child = spawn(process.execPath, args, {
      cwd: root,
      env: { ...withoutPawl(process.env), ...env },
      stdio: ["ignore", "pipe", log],
      detached: process.platform !== "win32",
    });
    closeSync(log);
    const ended = once(child, "exit").then(([code, signal]: unknown[]) => {
      this.#children.delete(child);
      this.#tellGuard();
      return signal === null ? `exit code ${String(code)}` : String(signal);
    });
    if (child.pid === undefined) throw new Error(`${process.execPath} could not be started`);
    this.#children.set(child, ended);
    this.#tellGuard();
    return { child, ended, pid: child.pid };
  }

  #logOf(name: string): string {
    return join(this.#logDir, `${name}.log`);
  }

  #tellGuard(): void {
    const pids = [...this.#children.keys()].map(({ pid }) => pid);
    this.#guard?.stdin?.write(`${pids.join(" ")}\n`);
  }

  /** When this process ends without having stopped them. */
  readonly #killAll = (): void => {
    for (const child of this.#children.keys()) child.kill("SIGKILL");
  };
}

/**
 * A shell that reads which processes there are, a line at a time, until the pipe closes; that
 * happens however this process ends. Those of the last line are told to end.
 */
function startGuard(): ChildProcess | undefined {
  if (process.platform === "win32") return undefined;
  const script = `while read -r line; do pids=$line; done; [ -z "$pids" ] || kill -TERM $pids`;
  const guard = spawn("sh", ["-c", script, "pawl-start-guard"], {
    detached: true,
    stdio: ["pipe", "ignore", "ignore"],
  });
  // It only fails to be told when it has ended, and then there is nothing to tell it.
  guard.stdin?.on("error", () => undefined);
  guard.unref();
  return guard;
}

/** The first line on standard output; what follows is read and dropped. */
async function firstLine(child: ChildProcess): Promise<string> {
  if (child.stdout === null) return "";
  const lines = createInterface({ input: child.stdout });
  const [line] = await Promise.race([once(lines, "line"), once(lines, "close")]);
  child.stdout.resume();
  return typeof line === "string" ? line : "";
}

function inUse(store: string): string {
  return (
    `${store} is in use by another one, perhaps by another \`pnpm start\`. Continue there, stop it, ` +
    "or have a second one beside it: PAWL_DATA_DIR=.pawl/second npx -y pnpm@12 start"
  );
}

type Said =
  | Pick<Server, "grpcUrl" | "httpUrl" | "readyMs">
  | { readonly reason: string; readonly message: string };

/** What `pawl serve --json` says: that it is ready, or why it is not. */
function parseServerLine(line: string): Said {
  const said: unknown = line === "" ? {} : JSON.parse(line);
  if (typeof said === "object" && said !== null) {
    if ("grpcUrl" in said && "httpUrl" in said && "readyMs" in said) {
      const { grpcUrl, httpUrl, readyMs } = said;
      return { grpcUrl: String(grpcUrl), httpUrl: String(httpUrl), readyMs: Number(readyMs) };
    }
    if ("error" in said && typeof said.error === "object" && said.error !== null) {
      const { error } = said;
      const reason = "reason" in error ? String(error.reason) : "";
      if ("message" in error) return { reason, message: String(error.message) };
    }
  }
  return { reason: "", message: "It ended without a word; its log may say more." };
}

/** The environment without settings that are the demonstration's own affair. */
function withoutPawl(env: NodeJS.ProcessEnv): NodeJS.ProcessEnv {
  return Object.fromEntries(Object.entries(env).filter(([name]) => !name.startsWith("PAWL_")));
}

/** Whether nobody listens on a loopback port. */
export async function isFree(port: number): Promise<boolean> {
  const server = createServer();
  try {
    server.listen(port, "127.0.0.1");
    await once(server, "listening");
    return true;
  } catch {
    return false;
  } finally {
    server.close();
  }
}
