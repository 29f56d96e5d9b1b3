/**
 * The server end of the bare pipe, a process of its own: decode frames, commit them in groups,
 * encode replies. Environment: `PIPE_STORE`, as `openPipeStore` takes it.
 */
import { create, fromBinary, toBinary } from "@bufbuild/protobuf";
import { Server, ServerCredentials, type ServerDuplexStream } from "@grpc/grpc-js";
import {
  Directive,
  type ServerFrame,
  ServerFrameSchema,
  type StepCompletedRequest,
  type WorkerServiceAttachRequest,
  WorkerServiceAttachRequestSchema,
  type WorkerServiceAttachResponse,
  WorkerServiceAttachResponseSchema,
} from "@pawl/proto";
import { serveCommands } from "../child.ts";
import { openPipeStore, type PipeStep } from "./store.ts";

/** What the bench asks of this process. */
export type PipeServerCommand = { kind: "address" };

interface Waiting {
  id: number;
  step: StepCompletedRequest;
  stream: ServerDuplexStream<WorkerServiceAttachRequest, WorkerServiceAttachResponse>;
}

const { PIPE_STORE: url } = process.env;
if (url === undefined) throw new Error("PIPE_STORE must name the store.");
const store = await openPipeStore(url);
/** The counters of all runs, by id: what the server owns in memory. */
const counters = new Map<string, number>();
let waiting: Waiting[] = [];
let isCommitting = false;

/** Flushes when the previous commit returns, and after all frames of this turn have arrived. */
async function flush(): Promise<void> {
  while (waiting.length > 0) {
    const batch = waiting;
    waiting = [];
    const written = await store.commit(batch.map(({ step }) => number(step)));
    const replies = new Map<Waiting["stream"], ServerFrame[]>();
    batch.forEach(({ id, step, stream }, index) => {
      const frames = replies.get(stream) ?? [];
      replies.set(stream, frames);
      frames.push(reply(id, written[index] === true, counters.get(step.runId) ?? 0));
    });
    for (const [stream, frames] of replies) {
      stream.write(create(WorkerServiceAttachResponseSchema, { frames }));
    }
  }
  isCommitting = false;
}

function number(step: StepCompletedRequest): PipeStep {
  const seq = (counters.get(step.runId) ?? 0) + 1;
  counters.set(step.runId, seq);
  return {
    runId: step.runId,
    fence: step.fence,
    seq,
    attempt: step.attempt,
    type: "workflow.step.completed",
    stepKey: step.stepKey,
    encoding: step.output?.encoding ?? "void",
    payload: step.output?.data ?? new Uint8Array(),
  };
}

function reply(id: number, written: boolean, seq: number): ServerFrame {
  if (!written) {
    const value = { id, result: { case: "error", value: { reason: "LEASE_LOST" } } } as const;
    return create(ServerFrameSchema, { body: { case: "reply", value } });
  }
  return create(ServerFrameSchema, {
    body: {
      case: "reply",
      value: {
        id,
        result: { case: "stepCompleted", value: { directive: Directive.CONTINUE, seq } },
      },
    },
  });
}

function serveSession(
  stream: ServerDuplexStream<WorkerServiceAttachRequest, WorkerServiceAttachResponse>,
): void {
  stream.on("data", (request: WorkerServiceAttachRequest) => {
    for (const { id, body } of request.frames) {
      if (body.case === "hello")
        void welcome(
          stream,
          body.value.leases.map((l) => l.runId),
        );
      if (body.case === "stepCompleted") waiting.push({ id, step: body.value, stream });
    }
    if (isCommitting || waiting.length === 0) return;
    isCommitting = true;
    setImmediate(() => void flush());
  });
  stream.on("end", () => stream.end());
  // The worker was ended; the bench notices a lost one by itself.
  stream.on("error", () => stream.destroy());
}

async function welcome(
  stream: ServerDuplexStream<WorkerServiceAttachRequest, WorkerServiceAttachResponse>,
  runIds: string[],
): Promise<void> {
  await store.createRuns(runIds);
  stream.write(
    create(WorkerServiceAttachResponseSchema, {
      frames: [{ body: { case: "welcome", value: {} } }],
    }),
  );
}

const server = new Server();
server.addService(
  {
    session: {
      path: "/pawl.v1.WorkerService/Attach",
      requestStream: true,
      responseStream: true,
      requestSerialize: (m: WorkerServiceAttachRequest) =>
        Buffer.from(toBinary(WorkerServiceAttachRequestSchema, m)),
      requestDeserialize: (bytes: Buffer) => fromBinary(WorkerServiceAttachRequestSchema, bytes),
      responseSerialize: (m: WorkerServiceAttachResponse) =>
        Buffer.from(toBinary(WorkerServiceAttachResponseSchema, m)),
      responseDeserialize: (bytes: Buffer) => fromBinary(WorkerServiceAttachResponseSchema, bytes),
    },
  },
  { session: serveSession },
);
const port = await new Promise<number>((resolve, reject) => {
  server.bindAsync("127.0.0.1:0", ServerCredentials.createInsecure(), (error, bound) => {
    if (error === null) resolve(bound);
    else reject(error);
  });
});

serveCommands<PipeServerCommand, string>(async () => `127.0.0.1:${port}`);
