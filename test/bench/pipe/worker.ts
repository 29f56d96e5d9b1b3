/**
 * The worker end of the bare pipe, a process of its own: some concurrent runs, each of which sends
 * one completed step and awaits its reply before the next.
 */
import { StepKind } from "@pawl/proto";
import { serveCommands } from "../child.ts";
import { outputBytes } from "../payload.ts";
import { StepMeter, type StepRate } from "../step-meter.ts";
import { frameBody, replyCase, Wire, type WireSession } from "../wire.ts";

/** What the bench asks of this process. */
export interface PipeWorkerCommand {
  address: string;
  runs: number;
  warmUpMs: number;
  measureMs: number;
}

async function measure(command: PipeWorkerCommand): Promise<StepRate> {
  const wire = new Wire(command.address);
  const welcomed = Promise.withResolvers<void>();
  const failed = Promise.withResolvers<never>();
  const session = wire.openSession({
    onFrame: (body) => body.case === "welcome" && welcomed.resolve(),
    onError: failed.reject,
  });
  const meter = new StepMeter(command.warmUpMs, command.measureMs);
  const prefix = `${process.pid}-${Date.now()}`;
  const runIds = Array.from({ length: command.runs }, (_, n) => `pipe-${prefix}-${n}`);
  const leases = runIds.map((runId) => ({ runId, fence: 1 }));
  session.send(frameBody({ case: "hello", value: { leases } }));
  const work = async () => {
    await welcomed.promise;
    meter.begin();
    await Promise.all(runIds.map((runId) => execute(runId, meter, session)));
    return meter.result();
  };
  const result = await Promise.race([work(), failed.promise]);
  session.close();
  wire.close();
  return result;
}

/** One run: step after step until the time is over. */
async function execute(runId: string, meter: StepMeter, session: WireSession): Promise<void> {
  for (let n = 1; !meter.isOver; n += 1) {
    const name = `step-${n}`;
    const begin = performance.now();
    const reply = await session.request(
      frameBody({
        case: "stepCompleted",
        value: {
          runId,
          fence: 1,
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
}

serveCommands<PipeWorkerCommand, StepRate>(measure);
