import { randomUUID } from "node:crypto";
import { hostname } from "node:os";
import { create } from "@bufbuild/protobuf";
import { type WorkerInfo, WorkerInfoSchema } from "@pawl/proto";
import { type Duration, durationMs } from "../duration.ts";
import { UsageError } from "../errors.ts";
import { defaultLogger, type Logger } from "../lib/logger.ts";
import { wholeNumber } from "../lib/options.ts";
import { createGrpcTransport } from "../transport/grpc.ts";
import type { Transport } from "../transport/transport.ts";
import type { AnyWorkflow } from "../workflow.ts";

/** Where the server is. */
export interface ConnectionOptions {
  /** Of the server's gRPC port. Default: the environment's PAWL_URL, else http://127.0.0.1:50051. */
  readonly url?: string;
  /** Instead of a url. Its owner closes it. */
  readonly transport?: Transport;
}

export interface WorkerOptions extends ConnectionOptions {
  readonly workflows: readonly AnyWorkflow[];
  /** Runs under way at the same time. Default: 100. */
  readonly slots?: number;
  /** The queues that it serves. Default: `default`. */
  readonly queues?: readonly string[];
  /** Shown to people; one for each process. Default: the host's name and the process id. */
  readonly workerId?: string;
  /** The version of the program; shown to people. */
  readonly buildVersion?: string;
  readonly labels?: Readonly<Record<string, string>>;
  /** `session`: one stream. `poll`: plain calls, where streams do not get through. Default: `session`. */
  readonly mode?: "session" | "poll";
  /**
   * How long `stop` lets runs continue. What is not done or suspended by then continues
   * in another worker. Default: 10 s.
   */
  readonly drainTimeout?: Duration;
  /**
   * `always`: for development and tests. The code gets what is recorded by a replay of the run's
   * journal, after every step and wait, so that code which depends on something else shows it on the
   * first run. Default: as needed; `always` where the environment has PAWL_REPLAY_ALWAYS=1.
   */
  readonly replay?: "always" | "as needed";
  readonly logger?: Logger;
}

const known = new Set([
  "url",
  "transport",
  "workflows",
  "slots",
  "queues",
  "workerId",
  "buildVersion",
  "labels",
  "mode",
  "drainTimeout",
  "replay",
  "logger",
]);

export const sdkVersion = "0.1.0";

/** Worker options, complete and checked. */
export interface WorkerSettings {
  readonly transport: Transport;
  readonly ownsTransport: boolean;
  readonly info: WorkerInfo;
  readonly workflows: ReadonlyMap<string, AnyWorkflow>;
  readonly slots: number;
  readonly mode: "session" | "poll";
  readonly drainMs: number;
  readonly replayAlways: boolean;
  readonly logger: Logger;
}

export function defaultUrl(): string {
  return process.env.PAWL_URL || "http://127.0.0.1:50051";
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
  for (const name of Object.keys(options)) {
    if (!known.has(name)) {
      throw new UsageError(`"${name}" is not a worker option; those are ${[...known].join(", ")}`);
    }
  }
  const { slots = 100, mode = "session" } = options;
  wholeNumber("slots", slots, 1, 10_000);
  if (mode !== "session" && mode !== "poll")
    throw new UsageError(`mode is "session" or "poll"; it is ${String(mode)}`);
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
