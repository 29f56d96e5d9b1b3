import { WorkerService } from "@pawl/proto";
import type { EngineApi } from "../../engine/engine-api.ts";
import type { Log } from "../../lib/log.ts";
import { BOUNDS } from "../../model/bounds.ts";
import { type Binding, duplex, unary } from "../binding.ts";
import { duration } from "../convert/common-messages.ts";
import { durationMs, number } from "../convert/fields.ts";
import {
  leaseResultOut,
  leasesIn,
  workerInfoIn,
  workerOut,
  workItemOut,
} from "../convert/worker-messages.ts";
import { WORKER_REQUESTS } from "../worker-requests.ts";
import { attachWorker, type WorkerStreams } from "../worker-stream.ts";

const POLL_ITEMS_MAX = 100;

/** @param streams where open streams are kept, for the server to end them when it stops */
export function workerService(engine: EngineApi, streams: WorkerStreams, log: Log): Binding[] {
  const rpc = WorkerService.method;
  return [
    duplex(rpc.attach, (stream, context) => attachWorker(engine, stream, context, streams, log)),
    unary(rpc.pollWork, async (request, { caller, signal }) => {
      const { wait } = request;
      const asked = wait === undefined ? BOUNDS.pollWaitMs : durationMs("wait", wait);
      const waitMs = Math.min(asked, BOUNDS.pollWaitMs);
      const max = number("max_items", request.maxItems || 1, 1, POLL_ITEMS_MAX);
      const worker = workerInfoIn(request.worker);
      const items = await engine.polling.poll(caller, { worker, max, waitMs }, signal);
      return {
        items: items.map(workItemOut),
        leaseTime: duration(BOUNDS.leaseMs),
        heartbeatInterval: duration(BOUNDS.heartbeatMs),
      };
    }),
    unary(rpc.heartbeatLeases, async (request, { caller }) => {
      const answers = await engine.polling.heartbeat(caller, leasesIn(request.leases));
      return { results: answers.map(leaseResultOut) };
    }),
    unary(rpc.suspendRun, async (request, { caller }) => {
      return (await WORKER_REQUESTS.suspendRun(engine, caller, request)).value;
    }),
    unary(rpc.completeRun, async (request, { caller }) => {
      return (await WORKER_REQUESTS.completeRun(engine, caller, request)).value;
    }),
    unary(rpc.failRun, async (request, { caller }) => {
      return (await WORKER_REQUESTS.failRun(engine, caller, request)).value;
    }),
    unary(rpc.closeWaits, async (request, { caller }) => {
      return (await WORKER_REQUESTS.closeWaits(engine, caller, request)).value;
    }),
    unary(rpc.beginCleanUp, async (request, { caller }) => {
      return (await WORKER_REQUESTS.beginCleanUp(engine, caller, request)).value;
    }),
    unary(rpc.listWorkers, async (_request, { caller }) => {
      return { workers: (await engine.registry.listWorkers(caller)).map(workerOut) };
    }),
  ];
}
