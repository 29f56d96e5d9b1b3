/** The processes of a round. Each stays in its place, also when another process takes it over. */
import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { createWriteStream } from "node:fs";
import { createServer } from "node:net";
import { join } from "node:path";
import { startServer, type TestServer, withoutPawl } from "../harness/server.ts";

/** A process that was told to end has to have done so by then. */
const endMs = 20_000;

const workerMain = join(import.meta.dirname, "worker.ts");

export interface WorkerPlaceOptions {
  readonly url: string;
  readonly effects: string;
  readonly mode: "stream" | "poll";
  /** Gets what the processes print. */
  readonly logFile: string;
  /** A process ended that nobody killed. */
  readonly onDeath: (message: string) => void;
}

/** A worker that is started again each time it was killed. */
export class WorkerPlace {
  readonly name: string;
  readonly #options: WorkerPlaceOptions;
  #process: ChildProcess | undefined;
  #generation = 0;
  #stopped = false;
  /** The process of each worker id that was used here. */
  readonly pids = new Map<string, number>();

  constructor(name: string, options: WorkerPlaceOptions) {
    this.name = name;
    this.#options = options;
  }

  get pid(): number | undefined {
    return this.#process?.pid;
  }

  start(): void {
    if (this.#process !== undefined || this.#stopped) return;
    const { url, effects, mode, logFile, onDeath } = this.#options;
    this.#generation += 1;
    const id = `${this.name}-${this.#generation}`;
    const child = spawn(process.execPath, [workerMain, url, effects, id, mode], {
      env: { ...withoutPawl(process.env), NODE_COMPILE_CACHE: compileCache() },
      stdio: ["pipe", "pipe", "pipe"],
    });
    this.#process = child;
    if (child.pid !== undefined) this.pids.set(id, child.pid);
    const log = createWriteStream(logFile, { flags: "a" });
    log.write(`── ${id}, process ${child.pid}\n`);
    child.stdout?.pipe(log, { end: false });
    child.stderr?.pipe(log, { end: false });
    // Writing to a process that is gone is not an error of the drill.
    child.stdin?.on("error", () => undefined);
    child.on("exit", (code, signal) => {
      log.end(`── ${id} ended: ${signal ?? code}\n`);
      if (this.#process !== child) return;
      this.#process = undefined;
      onDeath(`worker ${id} ended by itself (${signal ?? `code ${code}`}); see ${logFile}`);
    });
  }

  async kill(): Promise<void> {
    const child = this.#process;
    this.#process = undefined;
    if (child === undefined || child.exitCode !== null || child.signalCode !== null) return;
    const exited = once(child, "exit");
    child.kill("SIGKILL");
    await exited;
  }

  /** Tells it to end, and waits until it has given back its runs. */
  async end(): Promise<void> {
    const child = this.#process;
    this.#process = undefined;
    if (child === undefined || child.exitCode !== null || child.signalCode !== null) return;
    const exited = once(child, "exit");
    const timer = setTimeout(() => child.kill("SIGKILL"), endMs);
    child.kill("SIGTERM");
    const [code, signal] = await exited;
    clearTimeout(timer);
    // One that was started a moment ago does not listen for the signal yet, and has no run.
    if (code === 0 || signal === "SIGTERM") return;
    this.#options.onDeath(`${this.name} did not end as it was told to: ${signal ?? code}`);
  }

  freeze(): void {
    this.#process?.kill("SIGSTOP");
  }

  thaw(): void {
    this.#process?.kill("SIGCONT");
  }

  async stop(): Promise<void> {
    this.#stopped = true;
    await this.kill();
  }
}

/** A server that is started again on its old ports. */
export class ServerPlace {
  readonly grpcAddress: string;
  readonly httpAddress: string;
  readonly name: string;
  readonly #store: string;
  readonly #logFile: string;
  #server: TestServer | undefined;
  #stopped = false;

  constructor(name: string, store: string, ports: readonly [number, number], logFile: string) {
    this.name = name;
    this.#store = store;
    this.grpcAddress = `127.0.0.1:${ports[0]}`;
    this.httpAddress = `127.0.0.1:${ports[1]}`;
    this.#logFile = logFile;
  }

  get isUp(): boolean {
    return this.#server !== undefined;
  }

  async start(): Promise<void> {
    if (this.#server !== undefined || this.#stopped) return;
    const server = await startServer({
      store: this.#store,
      grpc: this.grpcAddress,
      http: this.httpAddress,
      env: { PAWL_REPLICA: this.name },
    });
    this.#server = server;
    if (this.#stopped) await this.kill();
  }

  async kill(): Promise<void> {
    const server = this.#server;
    this.#server = undefined;
    if (server === undefined) return;
    await server.kill();
    this.#keepLog(server);
    // It is dead already; this removes its folder.
    await server.stop();
  }

  /** Tells it to end, and waits until it has. */
  async end(): Promise<void> {
    const server = this.#server;
    this.#server = undefined;
    if (server === undefined) return;
    const timer = setTimeout(() => void server.kill(), endMs);
    const code = await server.stop();
    clearTimeout(timer);
    this.#keepLog(server);
    if (code !== 0) throw new Error(`${this.name} did not end as it was told to: ${code}`);
  }

  async stop(): Promise<void> {
    this.#stopped = true;
    await this.kill();
  }

  #keepLog(server: TestServer): void {
    const log = createWriteStream(this.#logFile, { flags: "a" });
    log.end(`── ${this.name}, process ${server.pid}\n${server.log()}\n`);
  }
}

function compileCache(): string {
  return join(import.meta.dirname, "..", "..", "node_modules", ".cache", "chaos");
}

const taken = new Set<number>();
let lastPort = 21_000 + (process.pid % 5_000) * 2;

/**
 * A port for a server that will be killed and come back on it. From below the range that systems
 * take ports for connections and for port 0 from, so that nobody has it meanwhile.
 */
export async function findPort(): Promise<number> {
  for (let tries = 0; tries < 2_000; tries += 1) {
    lastPort = lastPort >= 32_000 ? 21_000 : lastPort + 1;
    const port = lastPort;
    if (taken.has(port)) continue;
    taken.add(port);
    if (await isFree(port)) return port;
    taken.delete(port);
  }
  throw new Error("No port between 21000 and 32000 is free.");
}

export function returnPorts(ports: readonly number[]): void {
  for (const port of ports) taken.delete(port);
}

function isFree(port: number): Promise<boolean> {
  return new Promise((resolve) => {
    const probe = createServer();
    probe.once("error", () => resolve(false));
    probe.listen(port, "127.0.0.1", () => probe.close(() => resolve(true)));
  });
}
