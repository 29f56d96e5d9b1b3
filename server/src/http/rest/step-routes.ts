/** A run's steps, as its journal has them. */
import { StepService } from "@pawl/proto";
import { RUN_ID } from "./event-routes.ts";
import type { Route } from "./route.ts";
import { rpcRoute } from "./rpc-route.ts";

const steps = StepService.method;

export const stepRoutes: readonly Route[] = [
  rpcRoute({
    ...{ method: "GET", path: "/v1/runs/{runId}/steps", rpc: steps.listSteps, id: "listSteps" },
    tag: "Steps",
    summary: "List a run's steps and waits, in the order of their first entry",
    description:
      "Each has its latest journal entry without the result, which `getStep` returns. Steps " +
      "that RetryRun took up again are the latest attempt.",
    about: {
      runId: RUN_ID,
      pageSize: "1 to 500; default 50.",
      pageToken: "`nextPageToken` of the previous page.",
    },
    errors: ["NOT_FOUND"],
  }),
  rpcRoute({
    ...{ method: "GET", path: "/v1/runs/{runId}/steps/{stepKey}", rpc: steps.getStep },
    id: "getStep",
    tag: "Steps",
    summary: "Get the record of a step or wait",
    result: "entry",
    about: { runId: RUN_ID, stepKey: "The step's key, percent-encoded." },
    errors: ["NOT_FOUND"],
  }),
];
