/** A server, a worker and a client in this process: all that a demonstration needs. */
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { createEmbedded } from "@pawl/server";
import {
  type AnyWorkflow,
  Client,
  fromConnectTransport,
  silentLogger,
  type WaitView,
  Worker,
} from "@pawl/worker";

export interface Stage {
  readonly client: Client;
  /** A folder that goes when the stage does. */
  readonly dir: string;
  [Symbol.asyncDispose](): Promise<void>;
}

export async function openStage(workflows: readonly AnyWorkflow[]): Promise<Stage> {
  const dir = await mkdtemp(join(tmpdir(), "pawl-example-"));
  const server = await createEmbedded({ store: ":memory:" });
  const transport = fromConnectTransport(server.transport);
  const worker = new Worker({ workflows, transport, logger: silentLogger });
  await worker.start();
  const client = new Client({ transport });
  return {
    client,
    dir,
    [Symbol.asyncDispose]: async () => {
      await worker.stop();
      client.close();
      await server.close();
      await rm(dir, { recursive: true });
    },
  };
}

/** The open question of a run, once there is one; undefined where the run has ended. */
export async function nextQuestion(client: Client, runId: string): Promise<WaitView | undefined> {
  for (;;) {
    const { waits } = await client.waits({ runId, kinds: ["user"] });
    if (waits[0] !== undefined) return waits[0];
    if ((await client.handle(runId).get()).endedAt !== undefined) return undefined;
    await new Promise((next) => setTimeout(next, 30));
  }
}
