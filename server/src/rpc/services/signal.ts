import { SignalService } from "@pawl/proto";
import type { EngineApi } from "../../engine/api.ts";
import { type Binding, unary } from "../binding.ts";
import { sendSignalIn, signalOut } from "../convert/event.ts";
import { runId } from "../convert/field.ts";

export function signalService(engine: EngineApi): Binding[] {
  const rpc = SignalService.method;
  return [
    unary(rpc.sendSignal, async (request, { caller }) => {
      const { runId, name, signalId, payload, actor } = sendSignalIn(request);
      return await engine.sendSignal(caller, runId, name, signalId, payload, actor);
    }),
    unary(rpc.listSignals, async (request, { caller }) => {
      const signals = await engine.listSignals(caller, runId(request.runId));
      return { signals: signals.map(signalOut) };
    }),
  ];
}
