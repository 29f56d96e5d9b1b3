/** All services, as every transport mounts them. */
import type { DescService } from "@bufbuild/protobuf";
import {
  EventService,
  KeyService,
  PayloadService,
  RunService,
  ServerService,
  SignalService,
  StepService,
  WaitService,
  WorkerService,
  WorkflowService,
} from "@pawl/proto";
import { Health } from "@pawl/proto/grpc/health/v1/health_pb.js";
import type { Keys } from "../auth/api-keys.ts";
import type { EngineApi } from "../engine/engine-api.ts";
import type { Log } from "../lib/log.ts";
import type { Binding } from "./binding.ts";
import { ClientCalls } from "./client-calls.ts";
import { eventService } from "./services/event-service.ts";
import { healthService } from "./services/health-service.ts";
import { keyService } from "./services/key-service.ts";
import { payloadService } from "./services/payload-service.ts";
import { reflectionService } from "./services/reflection-service.ts";
import { runService } from "./services/run-service.ts";
import { type Locate, serverService } from "./services/server-service.ts";
import { signalService } from "./services/signal-service.ts";
import { stepService } from "./services/step-service.ts";
import { waitService } from "./services/wait-service.ts";
import { workerService } from "./services/worker-service.ts";
import { workflowService } from "./services/workflow-service.ts";
import type { WorkerStreams } from "./worker-stream.ts";

/** The services of pawl.v1. */
export const API_SERVICES: readonly DescService[] = [
  RunService,
  StepService,
  WorkerService,
  WorkflowService,
  SignalService,
  WaitService,
  EventService,
  PayloadService,
  KeyService,
  ServerService,
];

export interface ServiceOptions {
  readonly engine: EngineApi;
  readonly keys: Keys;
  readonly streams: WorkerStreams;
  readonly log: Log;
  readonly locate: Locate;
}

export function apiBindings(options: ServiceOptions): Binding[] {
  const { engine, keys, streams, log, locate } = options;
  const calls = new ClientCalls(engine);
  const bindings = [
    ...runService(engine, calls, log),
    ...stepService(engine),
    ...workerService(engine, streams, log),
    ...workflowService(engine),
    ...signalService(engine, calls),
    ...waitService(engine),
    ...eventService(engine),
    ...payloadService(engine),
    ...keyService(keys),
    ...serverService(locate),
  ];
  const bound = new Set(bindings.map(({ method }) => method));
  for (const method of API_SERVICES.flatMap((service) => service.methods)) {
    if (!bound.has(method)) throw new Error(`${method} is declared and not implemented.`);
  }
  return bindings;
}

/** What gRPC tools expect besides. */
export function toolBindings(ready: () => boolean): Binding[] {
  const names = API_SERVICES.map((service) => service.typeName);
  return [...healthService(names, ready), ...reflectionService([...API_SERVICES, Health])];
}
