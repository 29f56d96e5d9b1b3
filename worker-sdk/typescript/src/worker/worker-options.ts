import { randomUUID } from "node:crypto";
import { hostname } from "node:os";
import { create } from "@bufbuild/protobuf";
import { type WorkerInfo, WorkerInfoSchema } from "@pawl/proto";
import { type Duration, durationMs } from "../duration.ts";
import { UsageError } from "../errors.ts";
import { defaultLogger, type Logger } from "../lib/logger.ts";
import { refuseUnknown, wholeNumber } from "../lib/options.ts";
import { createGrpcTransport } from "../transport/grpc.ts";
import type { Transport } from "../transport/transport.ts";
import { sdkVersion } from "../version.ts";
import type { AnyWorkflow } from "../workflow-types.ts";

/** How to connect to the server. */
export interface ConnectionOptions {
  /**
   * The server's address, such as http://127.0.0.1:8000. Default: the environment variable PAWL_GRPC_URL,
   * which is its gRPC address, else PAWL_URL, else where `pawl serve` listens on this machine.
   */
  readonly url?: string;
  /**
   * A transport instead of a URL, such as that of an embedded server. The caller closes it. Not together
   * with `url`.
   */
  readonly transport?: Transport;
}

/** The options of a worker. Unknown names are rejected. */
export interface WorkerOptions extends ConnectionOptions {
  /** The workflows that this worker serves; at least one. Names must be unique. */
  readonly workflows: readonly AnyWorkflow[];
  /**
   * The maximum number of runs that this worker executes at the same time, from 1 to 10,000. Default: 100,
   * which suits workflows that mostly await I/O. Runs beyond it stay queued or go to other workers. A run
   * that waits for long frees its slot. Lower it if steps use much CPU or memory, because all runs share one
   * event loop; raise it for many short I/O steps.
   */
  readonly slots?: number;
  /**
   * The queues that this worker serves. Default: `default`. Use several queues to reserve workers for
   * certain runs; a run in a queue that no worker serves stays QUEUED.
   */
  readonly queues?: readonly string[];
  /**
   * The name that people see in `pawl workers`; unique per process. Default: the host name and the process
   * id. Set it if your platform has a better name, such as that of a pod.
   */
  readonly workerId?: string;
  /** The version of your program, shown to people. Default: empty. It does not affect dispatch. */
  readonly buildVersion?: string;
  /** Free-form labels shown to people, such as a region. Default: none. They do not affect dispatch. */
  readonly labels?: Readonly<Record<string, string>>;
  /**
   * `stream` keeps one stream open, on which the server pushes work. `poll` uses unary calls, for networks
   * that block streams; a run is then taken over 15 s after a crash instead of half a second, and a step
   * costs more. Default: `stream`.
   */
  readonly mode?: "stream" | "poll";
  /**
   * How long `stop` lets runs continue. Runs that have not ended or been suspended by then continue in
   * another worker, and their steps in flight are executed again. Default: 10 s, which is below the usual 30 s
   * between SIGTERM and SIGKILL. Raise it if steps take longer and your platform allows it.
   */
  readonly drainTimeout?: Duration;
  /**
   * `always` executes each run again from its journal after every recorded step and wait, so that code that
   * is not deterministic is detected on its first run. It is slow and meant for development and tests.
   * Default: `as needed`, or `always` if the environment has PAWL_REPLAY_ALWAYS=1.
   */
  readonly replay?: "always" | "as needed";
  /** Receives the worker's own log lines. Default: lines on standard error. It gets no payloads. */
  readonly logger?: Logger;
}

const known = {
  url: true,
  transport: true,
  workflows: true,
  slots: true,
  queues: true,
  workerId: true,
  buildVersion: true,
  labels: true,
  mode: true,
  drainTimeout: true,
  replay: true,
  logger: true,
} satisfies Record<keyof WorkerOptions, true>;

/** Worker options, complete and checked. */
export interface WorkerSettings {
  readonly transport: Transport;
  readonly ownsTransport: boolean;
  readonly info: WorkerInfo;
  readonly workflows: ReadonlyMap<string, AnyWorkflow>;
  readonly slots: number;
  readonly mode: "stream" | "poll";
  readonly drainMs: number;
  readonly replayAlways: boolean;
  readonly logger: Logger;
}

export function defaultUrl(): string {
  const direct =
    process.env.PAWL_GRPC_URL || (process.env.PAWL_URL ? "" : "http://127.0.0.1:50051");
  // The scheme of an address that is not asked for another one.
  return direct === "" ? (process.env.PAWL_URL ?? "") : direct.replace(/^http/, "grpc");
}

/** The transport that the options name, and whether it was made for them. */
export function resolveTransport(options: ConnectionOptions): {
  transport: Transport;
  owned: boolean;
} {
  if (options.transport === undefined) {
    return { transport: createGrpcTransport(options.url ?? defaultUrl()), owned: true };
  }
  if (options.url !== undefined) throw new UsageError("give either a url or a transport, not both");
  return { transport: options.transport, owned: false };
}

function byName(workflows: readonly AnyWorkflow[]): Map<string, AnyWorkflow> {
  const named = new Map<string, AnyWorkflow>();
  for (const definition of workflows) {
    const other = named.get(definition.workflowName);
    if (other !== undefined && other !== definition) {
      throw new UsageError(
        `two workflows have the name "${definition.workflowName}": one is defined at ${other.definedAt}, the other at ${definition.definedAt}; rename one`,
      );
    }
    named.set(definition.workflowName, definition);
  }
  if (named.size === 0) throw new UsageError("a worker needs at least one workflow");
  return named;
}

function infoOf(
  options: WorkerOptions,
  workflows: Iterable<AnyWorkflow>,
  slots: number,
): WorkerInfo {
  const json = (schema: object | undefined) => (schema === undefined ? "" : JSON.stringify(schema));
  return create(WorkerInfoSchema, {
    workerId: options.workerId ?? `${hostname()}-${process.pid}`,
    instanceId: randomUUID(),
    language: "typescript",
    sdkVersion,
    buildVersion: options.buildVersion ?? "",
    workflows: [...workflows].map((definition) => ({
      name: definition.workflowName,
      version: definition.version,
      description: definition.description,
      inputSchema: json(definition.inputJsonSchema),
      outputSchema: json(definition.outputJsonSchema),
      ...(definition.flow === undefined ? {} : { flow: definition.flow }),
      ...(definition.timeouts === undefined ? {} : { timeouts: definition.timeouts }),
    })),
    queues: [...(options.queues ?? ["default"])],
    labels: { ...options.labels },
    slots,
  });
}

/** Completes worker options; throws UsageError for what makes no sense. */
export function resolveWorkerOptions(options: WorkerOptions): WorkerSettings {
  refuseUnknown(options, known, "a worker option");
  const { slots = 100, mode = "stream" } = options;
  wholeNumber("slots", slots, 1, 10_000);
  if (mode !== "stream" && mode !== "poll")
    throw new UsageError(`mode is "stream" or "poll"; it is ${String(mode)}`);
  const { replay = process.env.PAWL_REPLAY_ALWAYS === "1" ? "always" : "as needed" } = options;
  if (replay !== "always" && replay !== "as needed")
    throw new UsageError(`replay is "always" or "as needed"; it is ${String(replay)}`);
  const workflows = byName(options.workflows);
  const { transport, owned } = resolveTransport(options);
  return {
    transport,
    ownsTransport: owned,
    info: infoOf(options, workflows.values(), slots),
    workflows,
    slots,
    mode,
    replayAlways: replay === "always",
    drainMs: durationMs(options.drainTimeout ?? "10 s"),
    logger: options.logger ?? defaultLogger,
  };
}
