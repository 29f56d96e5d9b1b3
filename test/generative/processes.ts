/** The processes of rounds: a server, and a worker of each SDK; what ends is started again. */
import { appendFile, mkdtemp, readFile, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { Harness } from "../conformance/harness.ts";
import type { Sdk } from "../conformance/sdks.ts";
import { startServer, type TestServer } from "../harness/server.ts";

/** One SDK, and how its worker gets its work. */
export interface Player {
  readonly sdk: Sdk;
  readonly mode: string;
}

export class Processes {
  readonly folder: string;
  #server: TestServer;
  readonly #workers = new Map<Player, Harness>();
  #deploy = 0;
  #restarting: Promise<unknown> | undefined;

  private constructor(folder: string, server: TestServer) {
    this.folder = folder;
    this.#server = server;
  }

  static async start(): Promise<Processes> {
    const folder = await mkdtemp(join(tmpdir(), "pawl-generative-"));
    await appendFile(join(folder, "effects"), "");
    return new Processes(folder, await startServer());
  }

  get url(): string {
    return this.#server.grpcUrl;
  }

  /** Where runs of that player wait for its worker. */
  queue({ sdk, mode }: Player): string {
    return `${sdk.name}-${mode}`;
  }

  /** Has a worker for each of them, of the first deploy. */
  async ready(players: readonly Player[]): Promise<void> {
    await this.#restarting;
    if (this.#deploy !== 0) {
      this.#deploy = 0;
      await this.#each(async (player, worker) => {
        // One that is not ready yet does not know what to do about a SIGTERM.
        await worker.ready();
        await worker.stop();
        this.#launch(player);
      });
    }
    for (const player of players) {
      const known = [...this.#workers.keys()].some(
        (one) => one.sdk.name === player.sdk.name && one.mode === player.mode,
      );
      if (!known) this.#launch(player);
    }
    await this.#each(async (_, worker) => await worker.ready());
  }

  #launch(player: Player): void {
    const { folder } = this;
    const queue = this.queue(player);
    const { sdk, mode } = player;
    const deploy = this.#deploy;
    const settings = { sdk, mode, url: this.url, queue, workerId: queue, folder, deploy };
    this.#workers.set(player, new Harness(settings));
  }

  async killWorkers(): Promise<void> {
    await this.#each(async (player, worker) => {
      await worker.kill();
      this.#launch(player);
    });
  }

  /** Their drain, and the same code or the next in their place. */
  async replaceWorkers(deploy: number): Promise<void> {
    this.#deploy = deploy;
    await this.#each(async (player, worker) => {
      // One that is not ready yet does not know what to do about a SIGTERM.
      await worker.ready();
      await worker.stop();
      this.#launch(player);
    });
  }

  async freezeWorkers(forMs: number): Promise<void> {
    await this.#each(async (_, worker) => worker.signal("SIGSTOP"));
    await new Promise((resolve) => setTimeout(resolve, forMs));
    await this.#each(async (_, worker) => worker.signal("SIGCONT"));
  }

  async killServer(): Promise<void> {
    const { store, grpcAddress: grpc, httpAddress: http } = this.#server;
    await this.#server.kill();
    this.#restarting = startServer({ store, grpc, http }).then((server) => {
      this.#server = server;
    });
    await this.#restarting;
  }

  /** What each run did, and when. */
  async effects(): Promise<Map<string, Map<string, number[]>>> {
    const runs = new Map<string, Map<string, number[]>>();
    for (const line of (await readFile(join(this.folder, "effects"), "utf8")).split("\n")) {
      const [runId = "", name = "", at = ""] = line.split("\t");
      const run = runs.get(runId) ?? new Map<string, number[]>();
      runs.set(runId, run.set(name, [...(run.get(name) ?? []), Number(at)]));
    }
    return runs;
  }

  logs(): string {
    const workers = [...this.#workers].map(([player, { log }]) => `${this.queue(player)}:\n${log}`);
    return [...workers, `server:\n${this.#server.log()}`].join("\n");
  }

  async stop(): Promise<void> {
    await this.#restarting;
    await this.#each(async (_, worker) => await worker.kill());
    await this.#server.stop();
    await rm(this.folder, { recursive: true, force: true });
  }

  async #each(act: (player: Player, worker: Harness) => Promise<void>): Promise<void> {
    await Promise.all([...this.#workers].map(([player, worker]) => act(player, worker)));
  }
}
