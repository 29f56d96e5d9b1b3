/** A server and a worker whose workflows do what HTTP has to show. */
import { Client, silentLogger, Worker, workflow } from "@pawl/worker";
import { type ServerOptions, startServer, type TestServer } from "../harness/server.ts";

/** What a test lets continue, by name: steps wait for their gate. */
export class Gates {
  readonly #gates = new Map<string, PromiseWithResolvers<void>>();

  at(name: string): PromiseWithResolvers<void> {
    const gate = this.#gates.get(name) ?? Promise.withResolvers<void>();
    this.#gates.set(name, gate);
    return gate;
  }

  open(name: string): void {
    this.at(name).resolve();
  }
}

export interface Fixture {
  readonly server: TestServer;
  readonly gates: Gates;
  readonly client: Client;
  [Symbol.asyncDispose](): Promise<void>;
}

export function workflowsOf(gates: Gates) {
  return [
    workflow("greet", async (ctx, input: { name: string }) => {
      const greeting = await ctx.step("compose", () => `Hello, ${input.name}!`);
      return { greeting };
    }),
    /** Sends a word, waits for the gate of the run, sends the rest. */
    workflow("talk", async (ctx) => {
      return await ctx.step("speak", async function* () {
        yield "one ";
        await gates.at(`${ctx.runId}/2`).promise;
        yield "two ";
        await gates.at(`${ctx.runId}/3`).promise;
        yield "three";
      });
    }),
    workflow("wait", async (ctx) => {
      const first = await ctx.signal("go");
      return { first };
    }),
    workflow("fails", async (ctx, input: { times: number }) => {
      await ctx.step("work", () => {
        if (input.times > failures++) throw new TypeError("it does not work");
        return "worked";
      });
    }),
    workflow("raw", async (ctx) => {
      const bytes = await ctx.step("bytes", () => new Uint8Array([1, 2, 3]));
      await ctx.step("large", () => "x".repeat(2_000_000));
      await ctx.step("date", () => new Date(0));
      await ctx.step("void", () => undefined);
      return bytes;
    }),
  ];
}

let failures = 0;

export async function startFixture(options: ServerOptions = {}): Promise<Fixture> {
  const server = await startServer(options);
  const gates = new Gates();
  const url = server.grpcUrl;
  const workflows = workflowsOf(gates);
  const worker = new Worker({ url, workflows, logger: silentLogger, workerId: "http-worker" });
  await worker.start();
  const client = new Client({ url, logger: silentLogger });
  return {
    server,
    gates,
    client,
    async [Symbol.asyncDispose]() {
      client.close();
      await worker.stop();
      await server.stop();
    },
  };
}
