/** A server with a client of the TypeScript SDK and workers of this process, which go with it. */
import { Client, silentLogger, Worker } from "@pawl/worker";
import { createMigratedDatabase } from "../harness/database.ts";
import { startServer, type TestServer } from "../harness/server.ts";

type WorkerOptions = ConstructorParameters<typeof Worker>[0];

export class SdkLab {
  readonly server: TestServer;
  readonly client: Client;
  readonly #workers: Worker[] = [];

  protected constructor(server: TestServer) {
    this.server = server;
    this.client = new Client({ url: server.grpcUrl, logger: silentLogger });
  }

  /** `label` starts the name of the database, where there is one. */
  static async open(store: "sqlite" | "postgres", label: string): Promise<SdkLab> {
    return new SdkLab(await serverOf(store, label));
  }

  /** Connects a worker; what it is not told is as users have it. */
  async work(options: Omit<WorkerOptions, "url" | "logger">): Promise<Worker> {
    const worker = new Worker({ url: this.server.grpcUrl, logger: silentLogger, ...options });
    this.#workers.push(worker);
    await worker.start();
    return worker;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await Promise.all(this.#workers.map((worker) => worker.stop()));
    this.client.close();
    await this.server.stop();
  }
}

export async function serverOf(store: "sqlite" | "postgres", label: string): Promise<TestServer> {
  return await startServer(
    store === "postgres" ? { store: await createMigratedDatabase(label) } : {},
  );
}
