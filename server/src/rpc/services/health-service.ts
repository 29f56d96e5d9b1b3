/** grpc.health.v1: whether the store answers. */
import {
  Health,
  HealthCheckResponse_ServingStatus as ServingStatus,
} from "@pawl/proto/grpc/health/v1/health_pb.js";
import { sleep } from "../../lib/clock.ts";
import { notFound } from "../../model/errors.ts";
import { type Binding, serverStream, unary } from "../binding.ts";

const WATCH_PERIOD_MS = 500;

/**
 * @param services their full names; the empty name stands for the whole server
 * @param ready whether calls can be served right now
 */
export function healthService(services: readonly string[], ready: () => boolean): Binding[] {
  const known = new Set(["", ...services]);
  const now = (): ServingStatus => (ready() ? ServingStatus.SERVING : ServingStatus.NOT_SERVING);
  return [
    unary(Health.method.check, async ({ service }) => {
      if (!known.has(service)) throw notFound("service", service);
      return { status: now() };
    }),
    serverStream(Health.method.watch, async function* ({ service }, { signal }) {
      if (!known.has(service)) yield { status: ServingStatus.SERVICE_UNKNOWN };
      let last: ServingStatus | undefined;
      while (!signal.aborted) {
        const status = now();
        if (known.has(service) && status !== last) yield { status };
        last = status;
        await sleep(WATCH_PERIOD_MS, signal);
      }
    }),
  ];
}
