/** The page that Prometheus reads. */
import type { ServerResponse } from "node:http";
import type { Log } from "../lib/log.ts";
import { EXPOSITION_TYPE, exposition, type Registry } from "../lib/metrics.ts";

export const METRICS_PATH = "/metrics";

export function sendMetrics(registry: Registry, log: Log, response: ServerResponse): void {
  registry.collect().then(
    (families) => {
      response.writeHead(200, { "content-type": EXPOSITION_TYPE });
      response.end(exposition(families));
    },
    (error: unknown) => {
      log.error("http.failed", { path: METRICS_PATH, error });
      response.destroy();
    },
  );
}
