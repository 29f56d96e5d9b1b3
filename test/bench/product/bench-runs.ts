/** Runs for the workers of the benches. */
import { RunService } from "@pawl/proto";
import { frameBody, type Wire } from "../wire.ts";

export const workflowName = "bench";

/** Makes the server know the workflow, without taking any run. */
export async function registerWorkflow(wire: Wire, name = workflowName): Promise<void> {
  const welcomed = Promise.withResolvers<void>();
  const session = wire.openSession({
    onFrame: (body) => body.case === "welcome" && welcomed.resolve(),
    onError: welcomed.reject,
  });
  const worker = { workerId: "registrar", instanceId: "registrar", workflows: [{ name }] };
  session.send(frameBody({ case: "hello", value: { protocolVersion: 1, worker } }));
  await welcomed.promise;
  session.close();
}

/** Starts as many runs, `concurrency` at a time. */
export async function startRuns(wire: Wire, count: number, concurrency = 256): Promise<void> {
  let left = count;
  const input = { data: new TextEncoder().encode("{}"), encoding: "json" };
  const start = async () => {
    while (left > 0) {
      left -= 1;
      await wire.call(RunService.method.startRun, { workflow: workflowName, input });
    }
  };
  await Promise.all(Array.from({ length: concurrency }, start));
}

/** Starts a run of this id. */
export async function startRun(wire: Wire, runId: string): Promise<void> {
  const input = { data: new TextEncoder().encode("{}"), encoding: "json" };
  await wire.call(RunService.method.startRun, { workflow: workflowName, input, runId });
}

/** A worker that takes one run at a time and does nothing with it. */
export interface ClaimProbe {
  /** How long it took from the credit to the dispatch, in ms. */
  claim(): Promise<number>;
}

export async function openClaimProbe(wire: Wire): Promise<ClaimProbe> {
  let waiter = Promise.withResolvers<void>();
  let failure: Error | undefined;
  const session = wire.openSession({
    onFrame: (body) => {
      if (body.case === "welcome") waiter.resolve();
      if (body.case !== "dispatch") return;
      const { runId = "", fence = 0 } = body.value.item?.lease ?? {};
      session.send(frameBody({ case: "dispatchAck", value: { runId, fence } }));
      waiter.resolve();
    },
    onError: (error) => {
      failure = error;
      waiter.reject(error);
    },
  });
  const worker = {
    workerId: "prober",
    instanceId: "prober",
    workflows: [{ name: workflowName }],
  };
  session.send(frameBody({ case: "hello", value: { protocolVersion: 1, worker } }));
  await waiter.promise;
  return {
    async claim() {
      if (failure !== undefined) throw failure;
      waiter = Promise.withResolvers<void>();
      const begin = performance.now();
      session.send(frameBody({ case: "credits", value: { count: 1 } }));
      await waiter.promise;
      return performance.now() - begin;
    },
  };
}
