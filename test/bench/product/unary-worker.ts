/** A worker made of plain unary calls, as generated stubs make them. */
import { RunService, StepKind, StepService } from "@pawl/proto";
import { serveCommands } from "../child.ts";
import { outputBytes } from "../payload.ts";
import { StepMeter, type StepRate } from "../step-meter.ts";
import { Wire } from "../wire.ts";
import { workflowName } from "./bench-runs.ts";
import type { WorkerCommand } from "./measure.ts";

async function measure(command: WorkerCommand): Promise<StepRate> {
  const wire = new Wire(command.address);
  const meter = new StepMeter(command.warmUpMs, command.measureMs);
  meter.begin();
  await Promise.all(Array.from({ length: command.slots }, () => execute(wire, meter)));
  wire.close();
  return meter.result();
}

/** One run, claimed by its own start. */
async function execute(wire: Wire, meter: StepMeter): Promise<void> {
  const { claimed } = await wire.call(RunService.method.startRun, {
    workflow: workflowName,
    input: { data: new TextEncoder().encode("{}"), encoding: "json" },
    claim: true,
  });
  const lease = claimed?.lease;
  if (lease === undefined) throw new Error("A claimed start came without a lease.");
  for (let n = 1; !meter.isOver; n += 1) {
    const begin = performance.now();
    await wire.call(StepService.method.stepCompleted, {
      runId: lease.runId,
      fence: lease.fence,
      stepKey: `step-${n}`,
      attempt: 1,
      output: { data: outputBytes, encoding: "json" },
      name: `step-${n}`,
      kind: StepKind.STEP,
    });
    meter.count(begin);
  }
}

serveCommands<WorkerCommand, StepRate>(measure);
