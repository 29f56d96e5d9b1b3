/**
 * The worker end of the bare pipe, a process of its own: some concurrent runs, each of which sends
 * one completed step and awaits its reply before the next.
 */
import { create, fromBinary, toBinary } from "@bufbuild/protobuf";
import { Client, credentials } from "@grpc/grpc-js";
import {
  type ServerFrame,
  type SessionRequest,
  SessionRequestSchema,
  type SessionResponse,
  SessionResponseSchema,
  StepKind,
  type WorkerFrame,
  WorkerFrameSchema,
} from "@pawl/proto";
import { serveCommands } from "../child.ts";
import { outputOf200Bytes } from "../payload.ts";
import { StepMeter, type StepRate } from "../step-meter.ts";

/** What the bench asks of this process. */
export interface PipeWorkerCommand {
  address: string;
  runs: number;
  warmUpMs: number;
  measureMs: number;
}

async function measure(command: PipeWorkerCommand): Promise<StepRate> {
  const client = new Client(command.address, credentials.createInsecure());
  const stream = client.makeBidiStreamRequest(
    "/pawl.v1.WorkerService/Session",
    (m: SessionRequest) => Buffer.from(toBinary(SessionRequestSchema, m)),
    (bytes: Buffer) => fromBinary(SessionResponseSchema, bytes),
  );
  const waiters = new Map<number, (frame: ServerFrame) => void>();
  let outgoing: WorkerFrame[] = [];
  let lastId = 0;

  /** Sends a frame in the same message as all others of this turn; resolves with its reply. */
  function call(body: WorkerFrame["body"]): Promise<ServerFrame> {
    lastId += 1;
    const id = lastId;
    if (outgoing.length === 0) setImmediate(send);
    outgoing.push(create(WorkerFrameSchema, { id, body }));
    return new Promise((resolve) => waiters.set(id, resolve));
  }

  function send(): void {
    const frames = outgoing;
    outgoing = [];
    stream.write(create(SessionRequestSchema, { frames }));
  }

  const failed = new Promise<never>((_, reject) => stream.on("error", reject));
  stream.on("data", (response: SessionResponse) => {
    for (const frame of response.frames) {
      // The welcome answers the first frame, the hello.
      const id = frame.body.case === "reply" ? frame.body.value.id : 1;
      waiters.get(id)?.(frame);
      waiters.delete(id);
    }
  });

  const meter = new StepMeter(command.warmUpMs, command.measureMs);
  const prefix = `${process.pid}-${Date.now()}`;
  const runIds = Array.from({ length: command.runs }, (_, n) => `pipe-${prefix}-${n}`);
  const work = async () => {
    await call(hello(runIds));
    meter.begin();
    await Promise.all(runIds.map((runId) => execute(runId, meter, call)));
    return meter.result();
  };
  const result = await Promise.race([work(), failed]);
  stream.end();
  client.close();
  return result;
}

function hello(runIds: readonly string[]): WorkerFrame["body"] {
  const leases = runIds.map((runId) => ({ runId, fence: 1 }));
  return create(WorkerFrameSchema, { body: { case: "hello", value: { leases } } }).body;
}

/** One run: step after step until the time is over. */
async function execute(
  runId: string,
  meter: StepMeter,
  call: (body: WorkerFrame["body"]) => Promise<ServerFrame>,
): Promise<void> {
  const data = new TextEncoder().encode(JSON.stringify(outputOf200Bytes));
  for (let n = 1; !meter.isOver; n += 1) {
    const name = `step-${n}`;
    const begin = performance.now();
    const { body } = create(WorkerFrameSchema, {
      body: {
        case: "stepCompleted",
        value: {
          runId,
          fence: 1,
          stepKey: name,
          attempt: 1,
          output: { data, encoding: "json" },
          name,
          kind: StepKind.STEP,
        },
      },
    });
    const frame = await call(body);
    const reply = frame.body.case === "reply" ? frame.body.value.result.case : undefined;
    if (reply !== "stepCompleted") throw new Error(`Step ${n} of ${runId} was answered ${reply}.`);
    meter.count(begin);
  }
}

serveCommands<PipeWorkerCommand, StepRate>(measure);
