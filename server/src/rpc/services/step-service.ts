import { StepService } from "@pawl/proto";
import type { EngineApi } from "../../engine/engine-api.ts";
import { type Binding, unary } from "../binding.ts";
import { entryOut } from "../convert/entry-codec.ts";
import { runId, stepKey } from "../convert/fields.ts";
import { listStepsIn, stepCompletedIn, stepCompletedOut } from "../convert/step-messages.ts";
import { WORKER_REQUESTS } from "../worker-requests.ts";

export function stepService(engine: EngineApi): Binding[] {
  const rpc = StepService.method;
  return [
    unary(rpc.stepStarted, async (request, { caller }) => {
      return (await WORKER_REQUESTS.stepStarted(engine, caller, request)).value;
    }),
    unary(rpc.stepCompleted, async (request, { caller }) =>
      stepCompletedOut(await engine.steps.complete(caller, stepCompletedIn(request))),
    ),
    unary(rpc.stepFailed, async (request, { caller }) => {
      return (await WORKER_REQUESTS.stepFailed(engine, caller, request)).value;
    }),
    unary(rpc.getStep, async (request, { caller }) => {
      const key = stepKey(request.stepKey);
      const entry = await engine.steps.get(caller, runId(request.runId), key);
      return entry === undefined ? {} : { entry: entryOut(entry) };
    }),
    unary(rpc.listSteps, async (request, { caller }) => {
      const page = await engine.steps.list(caller, listStepsIn(request));
      return { steps: page.steps.map(entryOut), nextPageToken: page.nextPageToken };
    }),
  ];
}
