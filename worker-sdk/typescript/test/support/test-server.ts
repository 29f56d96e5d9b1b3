/** A real server, and worker processes, for tests over the wire. */
import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";

const serverMain = join(import.meta.dirname, "../../../../server/src/main.ts");

async function lineWith(child: ChildProcess, text: string): Promise<string> {
  let out = "";
  child.stdout?.setEncoding("utf8");
  for await (const chunk of child.stdout ?? []) {
    out += String(chunk);
    const line = out.split("\n").find((candidate) => candidate.includes(text));
    if (line !== undefined) {
      child.stdout?.resume();
      return line;
    }
  }
  throw new Error(`the process ended without saying "${text}": ${out}`);
}

export class TestServer {
  readonly #folder: string;
  #child: ChildProcess | undefined;
  grpcUrl = "";

  private constructor(folder: string) {
    this.#folder = folder;
  }

  static async start(): Promise<TestServer> {
    const server = new TestServer(await mkdtemp(join(tmpdir(), "pawl-sdk-")));
    await server.startAgain();
    return server;
  }

  get folder(): string {
    return this.#folder;
  }

  /** Starts it on its old data, and its old port. */
  async startAgain(): Promise<void> {
    const grpc = this.grpcUrl === "" ? "127.0.0.1:0" : this.grpcUrl.replace("http://", "");
    const store = join(this.#folder, "pawl.db");
    const child = spawn(
      process.execPath,
      [
        serverMain,
        "serve",
        "--store",
        store,
        "--migrate",
        "--json",
        "--log",
        "warn",
        "--grpc",
        grpc,
        "--http",
        "127.0.0.1:0",
      ],
      { cwd: this.#folder, stdio: ["ignore", "pipe", "inherit"] },
    );
    this.#child = child;
    const ready: unknown = JSON.parse(await lineWith(child, '"ready"'));
    if (typeof ready === "object" && ready !== null && "grpcUrl" in ready)
      this.grpcUrl = String(ready.grpcUrl);
  }

  async kill(signal: NodeJS.Signals = "SIGKILL"): Promise<void> {
    const child = this.#child;
    if (child === undefined || child.exitCode !== null || child.signalCode !== null) return;
    const ended = once(child, "exit");
    child.kill(signal);
    await ended;
  }

  async stop(): Promise<void> {
    await this.kill("SIGTERM");
    await rm(this.#folder, { recursive: true, force: true });
  }
}

/** Starts a program of this folder; resolves once it has said "ready". */
export async function startProgram(name: string, ...args: string[]): Promise<ChildProcess> {
  const child = spawn(process.execPath, [join(import.meta.dirname, name), ...args], {
    stdio: ["ignore", "pipe", "inherit"],
  });
  await lineWith(child, "ready");
  return child;
}

export async function killProgram(
  child: ChildProcess,
  signal: NodeJS.Signals = "SIGKILL",
): Promise<void> {
  if (child.exitCode !== null || child.signalCode !== null) return;
  const ended = once(child, "exit");
  child.kill(signal);
  await ended;
}
