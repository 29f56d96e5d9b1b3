/**
 * A worker with no SDK, against the real server: what the server costs, apart from what
 * `@pawl/worker` costs. It takes each run that it is handed and reports its steps, one after the
 * other, as the pipe's worker does.
 */
import { type Dispatch, type ServerFrame, StepKind } from "@pawl/proto";
import { serveCommands } from "../child.ts";
import { outputBytes } from "../payload.ts";
import { StepMeter, type StepRate } from "../step-meter.ts";
import { frameBody, replyCase, Wire, type WireSession } from "../wire.ts";
import { workflowName } from "./bench-runs.ts";
import type { WorkerCommand } from "./measure.ts";

const steps = Number(process.env.BENCH_STEPS ?? "10");

async function measure(command: WorkerCommand): Promise<StepRate> {
  const wire = new Wire(command.address);
  const meter = new StepMeter(command.warmUpMs, command.measureMs);
  const over = Promise.withResolvers<void>();
  const failed = Promise.withResolvers<never>();
  const onFrame = (body: ServerFrame["body"]) => {
    if (body.case === "welcome") {
      session.send(frameBody({ case: "credits", value: { count: command.slots } }));
      meter.begin();
      setTimeout(over.resolve, command.warmUpMs + command.measureMs);
    } else if (body.case === "dispatch") {
      execute(body.value, meter, session).catch(failed.reject);
    } else if (body.case !== "leaseResults") {
      failed.reject(new Error(`The server sent ${body.case}.`));
    }
  };
  const session = wire.openSession({ onFrame, onError: failed.reject });
  const instance = `bare-${process.pid}`;
  const worker = {
    workerId: instance,
    instanceId: instance,
    workflows: [{ name: workflowName }],
    slots: command.slots,
  };
  session.send(frameBody({ case: "hello", value: { protocolVersion: 1, worker } }));
  await Promise.race([over.promise, failed.promise]);
  return meter.result();
}

/** One run from its dispatch to its result. */
async function execute(dispatch: Dispatch, meter: StepMeter, session: WireSession): Promise<void> {
  const lease = dispatch.item?.lease;
  if (lease === undefined) throw new Error("A dispatch came without a lease.");
  const { runId, fence } = lease;
  session.send(frameBody({ case: "dispatchAck", value: { runId, fence } }));
  for (let n = 1; n <= steps; n += 1) {
    const name = `step-${n}`;
    const begin = performance.now();
    const reply = await session.request(
      frameBody({
        case: "stepCompleted",
        value: {
          runId,
          fence,
          stepKey: name,
          attempt: 1,
          output: { data: outputBytes, encoding: "json" },
          name,
          kind: StepKind.STEP,
        },
      }),
    );
    if (replyCase(reply) !== "stepCompleted") {
      throw new Error(`Step ${n} of ${runId} was answered ${replyCase(reply)}.`);
    }
    meter.count(begin);
  }
  const output = { data: outputBytes, encoding: "json" };
  await session.request(frameBody({ case: "completeRun", value: { runId, fence, output } }));
  session.send(frameBody({ case: "credits", value: { count: 1 } }));
}

serveCommands<WorkerCommand, StepRate>(measure);
