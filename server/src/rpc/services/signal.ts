import { SignalService } from "@pawl/proto";
import { actorOf } from "../../auth/actor.ts";
import type { EngineApi } from "../../engine/api.ts";
import { type Binding, unary } from "../binding.ts";
import { listSignalsIn, sendSignalIn, signalOut } from "../convert/event.ts";

export function signalService(engine: EngineApi): Binding[] {
  const rpc = SignalService.method;
  return [
    unary(rpc.sendSignal, async (request, { caller }) => {
      const { runId, name, signalId, payload, actor } = sendSignalIn(request);
      return await engine.sendSignal(
        caller,
        runId,
        name,
        signalId,
        payload,
        actorOf(caller, actor),
      );
    }),
    unary(rpc.listSignals, async (request, { caller }) => {
      const page = await engine.listSignals(caller, listSignalsIn(request));
      return { signals: page.signals.map(signalOut), nextPageToken: page.nextPageToken };
    }),
  ];
}
