/** A harness process: a worker that interprets the programs of cases. */
import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { createInterface } from "node:readline";
import { withoutPawl } from "../harness/server.ts";
import type { Sdk } from "./sdks.ts";

const stopMs = 30_000;

/** The SDKs execute everything anew after each entry. */
export const isReplayedAlways = process.env.PAWL_CONFORMANCE_REPLAY === "always";

export interface HarnessOptions {
  readonly sdk: Sdk;
  readonly url: string;
  readonly queue: string;
  readonly workerId: string;
  /** Of effects and crash marks. */
  readonly folder: string;
  readonly deploy: number;
  readonly mode: string;
}

export class Harness {
  readonly #child: ChildProcess;
  readonly #lines: string[] = [];
  readonly #ended: Promise<unknown>;
  readonly #ready: Promise<void>;

  constructor({ sdk, url, queue, workerId, folder, deploy, mode }: HarnessOptions) {
    const [program = "", ...args] = sdk.command;
    const child = spawn(program, args, {
      env: {
        ...withoutPawl(process.env),
        ...(isReplayedAlways ? { PAWL_REPLAY_ALWAYS: "1" } : {}),
        PAWL_URL: url,
        PAWL_QUEUE: queue,
        PAWL_WORKER_ID: workerId,
        CONFORMANCE_DIR: folder,
        CONFORMANCE_DEPLOY: String(deploy),
        CONFORMANCE_MODE: mode,
      },
      stdio: ["ignore", "pipe", "pipe"],
    });
    this.#child = child;
    this.#ended = once(child, "exit");
    this.#ready = this.#waitForReady();
    // Everyone who waits for it is told; a process that is killed before is not an error.
    this.#ready.catch(() => undefined);
  }

  get isRunning(): boolean {
    return this.#child.exitCode === null && this.#child.signalCode === null;
  }

  /** The end of what it printed. */
  get log(): string {
    return this.#lines.join("\n");
  }

  get ended(): Promise<unknown> {
    return this.#ended;
  }

  ready(): Promise<void> {
    return this.#ready;
  }

  /** SIGSTOP and SIGCONT, say. */
  signal(signal: NodeJS.Signals): void {
    if (this.isRunning) this.#child.kill(signal);
  }

  async kill(): Promise<void> {
    if (this.isRunning) this.#child.kill("SIGKILL");
    await this.#ended;
  }

  /** SIGTERM; rejects where it does not end by that with code 0. */
  async stop(): Promise<void> {
    if (this.isRunning) this.#child.kill("SIGTERM");
    const timer = setTimeout(() => this.#child.kill("SIGKILL"), stopMs);
    await this.#ended;
    clearTimeout(timer);
    if (this.#child.exitCode !== 0) {
      const how = this.#child.signalCode ?? `code ${this.#child.exitCode}`;
      throw new Error(`The worker did not end in order on SIGTERM (${how}):\n${this.log}`);
    }
  }

  #waitForReady(): Promise<void> {
    const { stdout, stderr } = this.#child;
    if (stdout === null || stderr === null) throw new Error("The harness has no output.");
    const keep = (line: string): void => {
      this.#lines.push(line);
      if (this.#lines.length > 200) this.#lines.shift();
    };
    createInterface({ input: stderr }).on("line", keep);
    return new Promise((resolve, reject) => {
      createInterface({ input: stdout }).on("line", (line) => {
        if (line.trim() === "ready") resolve();
        else keep(line);
      });
      void this.#ended.then(() => reject(new Error(`The harness ended:\n${this.log}`)));
      this.#child.on("error", reject);
    });
  }
}
