import { WorkerService } from "@pawl/proto";
import type { EngineApi } from "../../engine/api.ts";
import type { Log } from "../../lib/log.ts";
import { LIMITS } from "../../model/limits.ts";
import { type Binding, duplex, unary } from "../binding.ts";
import { directiveOut, duration } from "../convert/common.ts";
import { durationMs, number } from "../convert/field.ts";
import {
  beginCleanUpIn,
  closeWaitsIn,
  completeRunIn,
  failRunIn,
  leaseResultOut,
  leasesIn,
  suspendRunIn,
  suspendRunOut,
  workerInfoIn,
  workerOut,
  workItemOut,
} from "../convert/worker.ts";
import { runSession, type Sessions } from "../session.ts";

const POLL_ITEMS_MAX = 100;

/** @param sessions where open sessions are kept, for the server to end them when it stops */
export function workerService(engine: EngineApi, sessions: Sessions, log: Log): Binding[] {
  const rpc = WorkerService.method;
  return [
    duplex(rpc.attach, (stream, context) => runSession(engine, stream, context, sessions, log)),
    unary(rpc.pollWork, async (request, { caller, signal }) => {
      const { wait } = request;
      const asked = wait === undefined ? LIMITS.pollWaitMs : durationMs("wait", wait);
      const waitMs = Math.min(asked, LIMITS.pollWaitMs);
      const max = number("max_items", request.maxItems || 1, 1, POLL_ITEMS_MAX);
      const worker = workerInfoIn(request.worker);
      const items = await engine.pollWork(caller, worker, max, waitMs, signal);
      return {
        items: items.map(workItemOut),
        leaseTime: duration(LIMITS.leaseMs),
        heartbeatInterval: duration(LIMITS.heartbeatMs),
      };
    }),
    unary(rpc.heartbeatLeases, async (request, { caller }) => {
      const answers = await engine.heartbeatLeases(caller, leasesIn(request.leases));
      return { results: answers.map(leaseResultOut) };
    }),
    unary(rpc.suspendRun, async (request, { caller }) =>
      suspendRunOut(await engine.suspendRun(caller, suspendRunIn(request))),
    ),
    unary(rpc.completeRun, async (request, { caller }) => {
      const reply = await engine.completeRun(caller, completeRunIn(request));
      return { directive: directiveOut(reply.directive) };
    }),
    unary(rpc.failRun, async (request, { caller }) => {
      const reply = await engine.failRun(caller, failRunIn(request));
      return { directive: directiveOut(reply.directive) };
    }),
    unary(rpc.closeWaits, async (request, { caller }) => {
      const reply = await engine.closeWaits(caller, closeWaitsIn(request));
      return { directive: directiveOut(reply.directive) };
    }),
    unary(rpc.beginCleanUp, async (request, { caller }) => {
      const reply = await engine.beginCleanUp(caller, beginCleanUpIn(request));
      return { directive: directiveOut(reply.directive) };
    }),
    unary(rpc.listWorkers, async (_request, { caller }) => {
      return { workers: (await engine.listWorkers(caller)).map(workerOut) };
    }),
  ];
}
