/**
 * Debian's Chromium without a window, driven over its own DevTools protocol: opens one page and
 * waits for what the page's script resolves to.
 */
import { spawn } from "node:child_process";
import { once } from "node:events";
import { existsSync } from "node:fs";
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { createInterface } from "node:readline";

const PLACES = [
  "/usr/bin/chromium",
  "/usr/bin/chromium-browser",
  "/usr/bin/google-chrome",
  "/Applications/Google Chrome.app/Contents/MacOS/Google Chrome",
];

/** The program; undefined where there is none. PAWL_CHROMIUM names it elsewhere. */
export function findChromium(): string | undefined {
  return [process.env.PAWL_CHROMIUM ?? "", ...PLACES].find(
    (path) => path !== "" && existsSync(path),
  );
}

interface Reply {
  id?: number;
  result?: Record<string, unknown>;
  error?: { message: string };
}

/** One browser. What it says to the world stays on this machine. */
export class Chromium {
  readonly #socket: WebSocket;
  readonly #waiting = new Map<number, PromiseWithResolvers<Record<string, unknown>>>();
  readonly #stop: () => Promise<void>;
  #next = 1;

  private constructor(socket: WebSocket, stop: () => Promise<void>) {
    this.#socket = socket;
    this.#stop = stop;
    socket.addEventListener("message", ({ data }) => {
      const reply = JSON.parse(String(data)) as Reply;
      const waiting = this.#waiting.get(reply.id ?? 0);
      if (reply.error !== undefined) waiting?.reject(new Error(reply.error.message));
      else waiting?.resolve(reply.result ?? {});
    });
  }

  static async start(program: string): Promise<Chromium> {
    const folder = await mkdtemp(join(tmpdir(), "pawl-chromium-"));
    const child = spawn(
      program,
      [
        "--headless",
        "--no-sandbox",
        "--disable-gpu",
        "--disable-quic",
        "--disable-dev-shm-usage",
        "--no-first-run",
        "--disable-background-networking",
        "--disable-component-update",
        "--disable-sync",
        "--remote-debugging-port=0",
        `--user-data-dir=${folder}`,
        "about:blank",
      ],
      { stdio: ["ignore", "ignore", "pipe"] },
    );
    const ended = once(child, "exit");
    const stop = async (): Promise<void> => {
      child.kill("SIGKILL");
      await ended;
      await rm(folder, { recursive: true, force: true, maxRetries: 10 });
    };
    const said: string[] = [];
    for await (const line of createInterface({ input: child.stderr })) {
      said.push(line);
      const [, url] = /DevTools listening on (ws:\S+)/.exec(line) ?? [];
      if (url === undefined) continue;
      child.stderr.resume();
      const socket = new WebSocket(url);
      await once(socket, "open");
      return new Chromium(socket, stop);
    }
    await stop();
    throw new Error(`Chromium did not start:\n${said.join("\n")}`);
  }

  /** Opens a page and returns what `expression` in it resolves to, as JSON. */
  async evaluate(url: string, expression: string): Promise<unknown> {
    const { targetId } = await this.#send("Target.createTarget", { url: "about:blank" });
    const attached = await this.#send("Target.attachToTarget", { targetId, flatten: true });
    const sessionId = String(attached.sessionId);
    await this.#send("Page.enable", {}, sessionId);
    await this.#send("Page.navigate", { url }, sessionId);
    const asked = { expression: readyThen(expression), awaitPromise: true, returnByValue: true };
    const { result, exceptionDetails } = await this.#send("Runtime.evaluate", asked, sessionId);
    if (exceptionDetails !== undefined) throw new Error(JSON.stringify(exceptionDetails));
    await this.#send("Target.closeTarget", { targetId });
    return (result as { value?: unknown }).value;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#socket.close();
    await this.#stop();
  }

  #send(
    method: string,
    params: Record<string, unknown>,
    sessionId?: string,
  ): Promise<Record<string, unknown>> {
    const id = this.#next++;
    const reply = Promise.withResolvers<Record<string, unknown>>();
    this.#waiting.set(id, reply);
    this.#socket.send(JSON.stringify({ id, method, params, sessionId }));
    return reply.promise;
  }
}

/** The navigation's answer comes before the page has run. */
function readyThen(expression: string): string {
  return `new Promise((resolve) => {
    if (document.readyState === "complete") resolve();
    else addEventListener("load", resolve);
  }).then(() => (${expression}))`;
}
