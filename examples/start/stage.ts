/** Server and workers of the demonstration: set up once, then kept up. */
import { mkdir } from "node:fs/promises";
import { join } from "node:path";
import { Complaint } from "./complaint.ts";
import type { Options } from "./options.ts";
import { isFree, type Processes, type Running, type Server } from "./processes.ts";
import { shorten } from "./result.ts";
import { paint, print } from "./screen.ts";

const workerNames = ["worker-1", "worker-2"];
/** A worker that ends by itself sooner than this is not started again. */
const shortLifeMs = 3_000;

export interface Stage {
  readonly server: Server;
  readonly workers: readonly Running[];
  /** Where the workers note which step bodies they ran. */
  readonly auditFile: string;
}

/** Starts the server and the workers, and says where they are. */
export async function setUp(options: Options, processes: Processes): Promise<Stage> {
  const grpc = await chooseAddress(options.grpc, 50_051, "gRPC");
  const http = await chooseAddress(options.http, 8_000, "HTTP");
  await mkdir(options.dataDir, { recursive: true });
  const server = await processes.startServer(options.dataDir, grpc, http);
  const store = shorten(join(options.dataDir, "pawl.db"));
  const at = `${server.httpUrl}, gRPC on ${server.grpcUrl.replace("http://", "")}`;
  print(`  ${paint("bold", "server")}    ${at}`);
  print(`  ${paint("bold", "store")}     ${store}`);
  const auditFile = join(options.dataDir, "start", "executions.jsonl");
  const stage = { server, workers: [], auditFile };
  const workers = await Promise.all(workerNames.map((name) => startWorker(stage, processes, name)));
  const names = workers.map(({ name, pid }) => `${name} (process ${pid})`);
  print(`  ${paint("bold", "workers")}   ${names.join(", ")}`);
  return { ...stage, workers };
}

/** Starts a worker of the stage, also one that has ended. */
export function startWorker(stage: Stage, processes: Processes, name: string): Promise<Running> {
  return processes.startWorker(name, stage.server.grpcUrl, { DIGEST_AUDIT_FILE: stage.auditFile });
}

/** The address asked for, else the default port, else a free one. */
async function chooseAddress(
  asked: string | undefined,
  port: number,
  what: string,
): Promise<string> {
  if (asked !== undefined) return asked;
  if (await isFree(port)) return `127.0.0.1:${port}`;
  print(paint("dim", `  Port ${port} is taken by another program; ${what} gets a free one.`));
  return "127.0.0.1:0";
}

/**
 * Starts a worker again whenever one ends.
 *
 * @throws Complaint where the server ends, or a worker as soon as it is started.
 */
export async function keepUp(stage: Stage, processes: Processes): Promise<never> {
  const never = new Promise<never>(() => undefined);
  const keepWorker = async (first: Running): Promise<never> => {
    let worker = first;
    for (let startedMs = performance.now(); ; startedMs = performance.now()) {
      const how = await worker.ended;
      if (processes.stopping) return await never;
      if (how.startsWith("exit code") && performance.now() - startedMs < shortLifeMs) {
        throw new Complaint(1, `${worker.name} ended soon after its start (${how}).`);
      }
      worker = await startWorker(stage, processes, worker.name);
      print(`  ${worker.name} ended (${how}); it is up again as process ${worker.pid}.`);
    }
  };
  const keepServer = async (): Promise<never> => {
    const how = await stage.server.ended;
    if (processes.stopping) return await never;
    throw new Complaint(1, `The server ended (${how}).`);
  };
  return await Promise.race([keepServer(), ...stage.workers.map(keepWorker)]);
}
