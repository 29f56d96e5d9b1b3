/** What the tests of semantics over the wire share: a server per store, and short words. */
import { create, fromBinary, toBinary } from "@bufbuild/protobuf";
import type { Client } from "@grpc/grpc-js";
import type {
  JournalEntry,
  Payload,
  PayloadRef,
  Run,
  StartRunResponse,
  WorkItem,
} from "@pawl/proto";
import {
  EventService,
  PayloadService,
  type Event as RunEvent,
  RunService,
  StepKind,
  StepService,
} from "@pawl/proto";
import { createMigratedDatabase } from "../harness/database.ts";
import { patienceMs } from "../harness/patience.ts";
import { connect, openWorker, type RawWorker, rpc, SessionWorker } from "../harness/protocol.ts";
import { startServer, type TestServer } from "../harness/server.ts";

export const stores = ["sqlite", "postgres"] as const;
export const transports = ["session", "unary"] as const;
export type StoreName = (typeof stores)[number];
export type TransportName = (typeof transports)[number];

/** A value of the wire. */
export function json(value: unknown): { data: Uint8Array; encoding: string } {
  return { data: new TextEncoder().encode(JSON.stringify(value)), encoding: "json" };
}

export function jsonOf(payload: Payload | undefined): unknown {
  return payload === undefined ? undefined : JSON.parse(new TextDecoder().decode(payload.data));
}

export const BOOM = { type: "Boom", message: "it broke" };
export const { STEP, SLEEP, SIGNAL, CHILD, VALUE } = StepKind;

/** What a refusal says, for `rejects.toMatchObject`. */
export const refused = (reason: string, metadata?: Record<string, string>) => ({
  reason,
  ...(metadata && { metadata }),
});

/** The fields of a start that the tests set. */
interface StartInit {
  workflow: string;
  runId?: string;
  idempotencyKey?: string;
  input?: { data: Uint8Array; encoding: string };
  priority?: number;
  queue?: string;
  version?: string;
  tags?: Record<string, string>;
  delay?: ReturnType<typeof ms>;
  timeouts?: { run?: ReturnType<typeof ms>; queue?: ReturnType<typeof ms> };
  parent?: { runId: string; stepKey: string };
  parentFence?: number;
  claim?: boolean;
  workerId?: string;
}

/** One server process over one database of its own. */
export class Lab {
  readonly server: TestServer;
  readonly client: Client;
  #workers: RawWorker[] = [];

  private constructor(server: TestServer) {
    this.server = server;
    this.client = connect(server.grpcAddress);
  }

  static async open(store: StoreName): Promise<Lab> {
    const url = store === "postgres" ? { store: await createMigratedDatabase("semantics") } : {};
    return new Lab(await startServer(url));
  }

  async [Symbol.asyncDispose](): Promise<void> {
    for (const worker of this.#workers) worker.close();
    this.client.close();
    await this.server.stop();
  }

  /** A name that no other test uses. */
  name(prefix: string): string {
    return `${prefix}-${crypto.randomUUID().slice(0, 8)}`;
  }

  /** A worker of this workflow, closed with the lab. */
  async worker(transport: TransportName, workflow: string, workerId?: string): Promise<RawWorker> {
    const names = { workflows: [workflow], ...(workerId === undefined ? {} : { workerId }) };
    const worker = await openWorker(transport, this.client, names);
    this.#workers.push(worker);
    return worker;
  }

  /** A session of a worker that serves one version of the workflow; empty: whichever. */
  async versionedWorker(workflow: string, version: string): Promise<SessionWorker> {
    const names = { workflows: [workflow], specs: [{ name: workflow, version }] };
    const worker = await SessionWorker.open(this.client, names);
    this.#workers.push(worker);
    return worker;
  }

  async start(request: StartInit) {
    return rpc(this.client, RunService.method.startRun, { input: json(1), ...request });
  }

  /** A worker with a run of a workflow of its own. */
  async held(
    transport: TransportName,
  ): Promise<{ worker: RawWorker; runId: string; fence: number; flow: string; item: WorkItem }> {
    const flow = this.name("flow");
    const worker = await this.worker(transport, flow);
    const runId = this.name("run");
    await this.start({ workflow: flow, runId });
    const item = await worker.next(runId);
    return { worker, runId, fence: fenceOf(item), flow, item };
  }

  /** Starts with `claim` until the run is there to be claimed. */
  async untilClaimed(request: StartInit): Promise<StartRunResponse> {
    const deadline = performance.now() + patienceMs;
    for (;;) {
      const response = await this.start(request);
      if (response.claimed !== undefined) return response;
      if (performance.now() > deadline) throw new Error("The run could not be claimed.");
      await sleep(15);
    }
  }

  async run(runId: string): Promise<Run> {
    const { run } = await rpc(this.client, RunService.method.getRun, { runId });
    if (run === undefined) throw new Error("No run in the answer.");
    return run;
  }

  async retry(runId: string): Promise<void> {
    await rpc(this.client, RunService.method.retryRun, { runId });
  }

  async step(runId: string, stepKey: string): Promise<JournalEntry | undefined> {
    return (await rpc(this.client, StepService.method.getStep, { runId, stepKey })).entry;
  }

  async journal(runId: string): Promise<JournalEntry[]> {
    return (await rpc(this.client, RunService.method.getJournal, { runId })).entries;
  }

  upload(data: Uint8Array): Promise<PayloadRef> {
    return upload(this.client, data);
  }

  async download({ sha256, size }: PayloadRef): Promise<Uint8Array> {
    const pieces: Uint8Array[] = [];
    for (let offset = 0; offset < size; ) {
      const { data } = await rpc(this.client, PayloadService.method.getPayload, { sha256, offset });
      pieces.push(data);
      offset += data.byteLength;
    }
    return Buffer.concat(pieces);
  }

  /** Waits for an entry of that type. */
  async untilEntry(runId: string, type: string, timeoutMs = patienceMs): Promise<JournalEntry> {
    const deadline = performance.now() + timeoutMs;
    for (;;) {
      const entry = (await this.journal(runId)).find((one) => one.type === type);
      if (entry !== undefined) return entry;
      if (performance.now() > deadline) throw new Error(`No ${type} came.`);
      await sleep(15);
    }
  }

  /** Waits until it is true of the run. */
  async until(runId: string, found: (run: Run) => boolean, timeoutMs = patienceMs): Promise<Run> {
    const deadline = performance.now() + timeoutMs;
    for (;;) {
      const run = await this.run(runId);
      if (found(run)) return run;
      if (performance.now() > deadline)
        throw new Error(`The run stayed ${run.status} ${run.statusReason}.`);
      await sleep(15);
    }
  }
}

/** All events of WatchRun until it ends. */
export function watch(
  client: Client,
  request: { runId: string; waitForStart?: boolean; afterCursor?: string },
): Promise<RunEvent[]> {
  const { watchRun } = EventService.method;
  const path = `/${EventService.typeName}/${watchRun.name}`;
  const events: RunEvent[] = [];
  return new Promise((resolve, reject) => {
    const stream = client.makeServerStreamRequest(
      path,
      (bytes: Buffer) => bytes,
      (bytes: Buffer) => fromBinary(watchRun.output, bytes),
      Buffer.from(toBinary(watchRun.input, create(watchRun.input, request))),
    );
    stream.on("data", (response: { events: RunEvent[] }) => events.push(...response.events));
    stream.on("error", reject);
    stream.on("end", () => resolve(events));
  });
}

/** PutPayload, in pieces. */
export function upload(client: Client, data: Uint8Array): Promise<PayloadRef> {
  const { putPayload } = PayloadService.method;
  const path = `/${PayloadService.typeName}/${putPayload.name}`;
  return new Promise((resolve, reject) => {
    const call = client.makeClientStreamRequest(
      path,
      (bytes: Buffer) => bytes,
      (bytes: Buffer) => fromBinary(putPayload.output, bytes),
      (error, response) => {
        if (response?.ref !== undefined) resolve(response.ref);
        else reject(error ?? new Error("No reference in the answer."));
      },
    );
    for (let at = 0; at < data.byteLength; at += PIECE) {
      const piece = create(putPayload.input, { data: data.subarray(at, at + PIECE) });
      call.write(Buffer.from(toBinary(putPayload.input, piece)));
    }
    call.end();
  });
}

const PIECE = 1024 * 1024;

export function fenceOf(item: WorkItem): number {
  return item.lease?.fence ?? 0;
}

export function sleep(ms: number): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, ms));
}

export function ms(value: number): { seconds: bigint; nanos: number } {
  return { seconds: BigInt(Math.floor(value / 1_000)), nanos: (value % 1_000) * 1_000_000 };
}
