/**
 * The worker that `pawl dev` runs: a process that restarts when its files change.
 *
 * States: *running* → *stopping* (asked to end, killed if it does not) → *running* again, or
 * *ended* (by itself: it is started again when a file changes) → *running*.
 */
import { type ChildProcess, spawn } from "node:child_process";
import { endProcess } from "./end-process.ts";

/** How long a worker may take to end in order. */
const STOP_MS = 5_000;

export interface WorkerProcessOptions {
  readonly file: string;
  readonly env: Readonly<Record<string, string | undefined>>;
  /** Gets a sentence when the worker cannot start or exits. */
  readonly onMessage: (message: string) => void;
}

export class WorkerProcess {
  readonly #options: WorkerProcessOptions;
  #child: ChildProcess | undefined;
  /** One restart at a time; a later one waits for it. */
  #busy: Promise<void> = Promise.resolve();
  #stopping = false;

  constructor(options: WorkerProcessOptions) {
    this.#options = options;
  }

  start(): void {
    const child = spawn(process.execPath, ["--enable-source-maps", this.#options.file], {
      env: this.#options.env,
      stdio: "inherit",
    });
    this.#child = child;
    child.on("error", (error) =>
      this.#options.onMessage(`Cannot start the worker: ${error.message}`),
    );
    child.on("exit", (code, signal) => {
      if (this.#child !== child) return;
      this.#child = undefined;
      if (this.#stopping) return;
      const how = signal ?? `exit code ${code ?? 0}`;
      this.#options.onMessage(`The worker exited (${how}); it restarts when a file changes.`);
    });
  }

  /** Ends it in order and starts it again with the files as they are then. */
  async restart(): Promise<void> {
    this.#busy = this.#busy.then(async () => {
      if (this.#stopping) return;
      await this.#end();
      if (!this.#stopping) this.start();
    });
    await this.#busy;
  }

  async stop(): Promise<void> {
    this.#stopping = true;
    await this.#busy;
    await this.#end();
  }

  async #end(): Promise<void> {
    const child = this.#child;
    this.#child = undefined;
    if (child !== undefined) await endProcess(child, STOP_MS);
  }
}
