/** `curl -N` on an event stream, its events as they come. */
import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";

export interface Sse {
  id: string;
  event: string;
  data: Record<string, unknown>;
}

export class Curl {
  readonly events: Sse[] = [];
  /** All that came, headers included. */
  text = "";
  readonly #child: ChildProcess;
  readonly #exit: Promise<unknown>;
  #rest = "";

  /** @param args what comes after `curl -sSiN` */
  constructor(...args: string[]) {
    const child = spawn("curl", ["-sSiN", ...args], { stdio: ["ignore", "pipe", "inherit"] });
    this.#child = child;
    this.#exit = once(child, "close");
    child.stdout.setEncoding("utf8").on("data", (piece: string) => this.#take(piece));
  }

  /** The ids that came, without those of events that have none. */
  get ids(): string[] {
    return this.events.map(({ id }) => id).filter((id) => id !== "");
  }

  get types(): string[] {
    return this.events.map(({ event }) => event);
  }

  /** What a step's output was, joined. */
  get output(): string {
    return this.events
      .filter(({ event }) => event === "output.delta")
      .map(({ data }) => String(data.payload))
      .join("");
  }

  /** The exit code, once curl ends by itself. */
  async end(): Promise<number | null> {
    await this.#exit;
    return this.#child.exitCode;
  }

  async kill(): Promise<void> {
    this.#child.kill("SIGKILL");
    await this.#exit;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.kill();
  }

  #take(piece: string): void {
    this.text += piece;
    this.#rest += piece.replaceAll("\r", "");
    const frames = this.#rest.split("\n\n");
    this.#rest = frames.pop() ?? "";
    for (const frame of frames) {
      const fields = new Map<string, string>();
      for (const line of frame.split("\n")) {
        const at = line.indexOf(": ");
        if (at > 0) fields.set(line.slice(0, at), line.slice(at + 2));
      }
      const data = fields.get("data");
      if (data === undefined) continue;
      this.events.push({
        id: fields.get("id") ?? "",
        event: fields.get("event") ?? "",
        data: JSON.parse(data) as Record<string, unknown>,
      });
    }
  }
}
