/** Runs recorded journals against a worker of today, on a server of their own in memory. */

import { Keys } from "../auth/api-keys.ts";
import { DEFAULT_ORG, everyoneIsOwner } from "../auth/authenticate.ts";
import { createEngine } from "../engine/engine.ts";
import { systemClock } from "../lib/clock.ts";
import { uniqueId } from "../lib/ids.ts";
import type { Log } from "../lib/log.ts";
import { anonymous } from "../model/caller.ts";
import { Calls } from "../rpc/calls.ts";
import { createGrpcServer } from "../rpc/grpc-server.ts";
import { nowhere } from "../rpc/services/server-service.ts";
import { apiBindings } from "../rpc/services.ts";
import { WorkerStreams } from "../rpc/worker-stream.ts";
import { openStore } from "../store/open.ts";
import type { RecordedRun } from "./journal-file.ts";
import { Rehearsal, type Verdict } from "./rehearsal.ts";
import { type Seeded, seed } from "./seed.ts";

export interface ReplayOptions {
  /** Run ids must differ. */
  readonly runs: readonly RecordedRun[];
  /** Starts the worker, which is to connect to the URL; `ended` rejects should it end. */
  readonly startWorker: (url: string) => { readonly ended: Promise<never>; stop(): Promise<void> };
  /** How long each run may take, in ms. */
  readonly timeoutMs: number;
  readonly log: Log;
}

/**
 * @returns a verdict per run, in their order
 * @throws JournalFileError; Error where the worker ends, or does not come for a run
 */
export async function replay(options: ReplayOptions): Promise<Verdict[]> {
  const { runs, log, startWorker, timeoutMs } = options;
  const store = await openStore(":memory:", {
    migrate: true,
    thread: false,
    onMessage: () => undefined,
  });
  const engine = createEngine({ store, replicaId: uniqueId(), log });
  const calls = new Calls(everyoneIsOwner);
  const streams = new WorkerStreams();
  const seeded: Seeded[] = [];
  for (const run of runs) seeded.push(await seed(store, run));
  const rehearsal = new Rehearsal(engine, seeded);
  const keys = new Keys({ store, clock: systemClock, changed: () => Promise.resolve() });
  const bindings = apiBindings({ engine: rehearsal.engine, keys, streams, log, locate: nowhere });
  const grpc = createGrpcServer({ bindings, calls, log });
  const port = await grpc.listen("127.0.0.1:0");
  const worker = startWorker(`http://127.0.0.1:${port}`);
  worker.ended.catch(() => undefined);
  try {
    const verdicts = seeded.map(async (one) => {
      const timeout = AbortSignal.timeout(timeoutMs);
      const late = new Promise<never>((_, reject) => {
        timeout.addEventListener("abort", () => {
          explain(engine, one).then((why) => reject(new Error(why)), reject);
        });
      });
      return await Promise.race([rehearsal.verdict(one.runId), worker.ended, late]);
    });
    return await Promise.all(verdicts);
  } finally {
    await worker.stop();
    calls.stop();
    await engine.close();
    await streams.endAll();
    grpc.kill();
    await store.close();
  }
}

/** Why a run came to nothing in its time. */
async function explain(
  engine: ReturnType<typeof createEngine>,
  { runId, workflow, queue }: Seeded,
): Promise<string> {
  const [worker] = await engine.registry.listWorkers(anonymous(DEFAULT_ORG));
  if (worker === undefined) {
    return "No worker connected in time. It has to connect to PAWL_URL; --timeout gives it longer.";
  }
  const { workflows, queues } = worker.info;
  const names = workflows.map(({ name }) => name);
  if (!names.includes(workflow)) {
    return `The worker does not serve the workflow ${workflow} of run ${runId}, but ${names.join(", ")}.`;
  }
  if (!queues.includes(queue)) {
    return `The worker does not serve the queue ${queue} of run ${runId}, but ${queues.join(", ")}.`;
  }
  return `Run ${runId} came to no end in time; --timeout gives it longer.`;
}
