/** Processes that the bench starts, and commands to them over Node's IPC channel. */
import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { withoutPawl } from "../harness/server.ts";

interface Request<T> {
  bench: number;
  command: T;
}

interface Response {
  bench: number;
  result?: unknown;
  error?: string;
}

function isFromBench(message: unknown): message is { bench: number } {
  return typeof message === "object" && message !== null && "bench" in message;
}

/** In a child: answers the bench's commands, one after the other or at the same time. */
export function serveCommands<Command, Result>(
  handle: (command: Command) => Promise<Result>,
): void {
  process.on("message", (message: unknown) => {
    if (!isFromBench(message)) return;
    const { bench, command } = message as Request<Command>;
    handle(command).then(
      (result) => process.send?.({ bench, result } satisfies Response),
      (error: unknown) => {
        const text = error instanceof Error ? (error.stack ?? error.message) : String(error);
        process.send?.({ bench, error: text } satisfies Response);
      },
    );
  });
  // A child must not outlive its bench.
  process.on("disconnect", () => process.exit());
}

export interface ChildOptions {
  args?: readonly string[];
  env?: Readonly<Record<string, string>>;
  /** Flags for Node itself. */
  nodeFlags?: readonly string[];
}

/** A Node process, started from a script and ended by `end` or `kill`. */
export class Child {
  readonly #process: ChildProcess;
  readonly #calls = new Map<
    number,
    { resolve(value: unknown): void; reject(error: Error): void }
  >();
  readonly #script: string;
  #lastCall = 0;
  #output = "";

  constructor(script: string, options: ChildOptions = {}) {
    this.#script = script;
    this.#process = spawn(
      process.execPath,
      [...(options.nodeFlags ?? []), script, ...(options.args ?? [])],
      {
        stdio: ["ignore", "pipe", "pipe", "ipc"],
        serialization: "advanced",
        env: { ...withoutPawl(process.env), ...options.env },
      },
    );
    for (const stream of [this.#process.stdout, this.#process.stderr]) {
      stream?.setEncoding("utf8").on("data", (text: string) => {
        this.#output = (this.#output + text).slice(-16_384);
      });
    }
    this.#process.on("message", (message: unknown) => this.#answer(message));
    this.#process.on("exit", () => {
      for (const { reject } of this.#calls.values()) reject(this.#ended());
      this.#calls.clear();
    });
    // A message to a process that has just ended; its call is rejected above.
    this.#process.on("error", () => undefined);
  }

  get pid(): number {
    const { pid } = this.#process;
    if (pid === undefined) throw new Error("The process was not started.");
    return pid;
  }

  /** The last 16 KiB of what it printed. */
  get output(): string {
    return this.#output;
  }

  /** Resolves with the first whole line of its standard output that matches. */
  line(pattern: RegExp): Promise<string> {
    const { stdout } = this.#process;
    return new Promise((resolve, reject) => {
      let text = "";
      const onData = (piece: string) => {
        text += piece;
        const found = text
          .split("\n")
          .slice(0, -1)
          .find((line) => pattern.test(line));
        if (found === undefined) return;
        stdout?.off("data", onData);
        resolve(found);
      };
      stdout?.on("data", onData);
      this.#process.on("exit", () => reject(this.#ended()));
    });
  }

  /** Sends a command to `serveCommands`; `Result` is what its handler answers. */
  call<Command, Result>(command: Command): Promise<Result> {
    this.#lastCall += 1;
    const bench = this.#lastCall;
    if (this.#hasEnded) return Promise.reject(this.#ended());
    return new Promise<Result>((resolve, reject) => {
      // The channel is between two halves of this bench, so the type is the handler's.
      this.#calls.set(bench, { resolve: (value) => resolve(value as Result), reject });
      this.#process.send({ bench, command });
    });
  }

  /** Sends SIGTERM, or SIGKILL after 10 s, and waits for the end. */
  async end(): Promise<void> {
    const timer = setTimeout(() => this.#process.kill("SIGKILL"), 10_000);
    await this.kill("SIGTERM");
    clearTimeout(timer);
  }

  /** Sends the signal, SIGKILL by default, and waits for the end. */
  async kill(signal: NodeJS.Signals = "SIGKILL"): Promise<void> {
    if (this.#hasEnded) return;
    const exited = once(this.#process, "exit");
    this.#process.kill(signal);
    await exited;
  }

  get #hasEnded(): boolean {
    return this.#process.exitCode !== null || this.#process.signalCode !== null;
  }

  #ended(): Error {
    const { exitCode, signalCode } = this.#process;
    const how = signalCode ?? `code ${exitCode}`;
    return new Error(`${this.#script} ended (${how}). Its output:\n${this.#output}`);
  }

  #answer(message: unknown): void {
    if (!isFromBench(message)) return;
    const { bench, result, error } = message as Response;
    const call = this.#calls.get(bench);
    this.#calls.delete(bench);
    if (error === undefined) call?.resolve(result);
    else call?.reject(new Error(error));
  }
}
