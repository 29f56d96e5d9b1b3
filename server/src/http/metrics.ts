/** The page that Prometheus reads. */
import type { IncomingMessage, ServerResponse } from "node:http";
import { requireScope } from "../auth/permissions.ts";
import type { Log } from "../lib/log.ts";
import { EXPOSITION_TYPE, exposition, type Registry } from "../lib/metrics.ts";
import type { Calls } from "../rpc/calls.ts";
import { wireError } from "../rpc/errors.ts";
import { credentialsOf } from "./credentials.ts";
import { sendProblem } from "./problem.ts";

export const METRICS_PATH = "/metrics";

export interface MetricsOptions {
  readonly calls: Calls;
  readonly log: Log;
  readonly metrics: Registry;
}

export async function sendMetrics(
  { calls, log, metrics }: MetricsOptions,
  request: IncomingMessage,
  response: ServerResponse,
): Promise<void> {
  const call = calls.begin();
  try {
    const { caller } = await call.enter(credentialsOf(request));
    requireScope(caller, ["metrics:read"]);
    const text = exposition(await metrics.collect());
    response.writeHead(200, { "content-type": EXPOSITION_TYPE });
    response.end(text);
  } catch (error) {
    sendProblem(response, wireError(error, log, METRICS_PATH), { method: request.method });
  } finally {
    call.done();
  }
}
