import { SignalService } from "@pawl/proto";
import { actorOf } from "../../auth/actor.ts";
import type { EngineApi } from "../../engine/engine-api.ts";
import { type Binding, unary } from "../binding.ts";
import { listSignalsIn, sendSignalIn, signalOut } from "../convert/event-messages.ts";

export function signalService(engine: EngineApi): Binding[] {
  const rpc = SignalService.method;
  return [
    unary(rpc.sendSignal, async (request, { caller }) => {
      const { runId, name, signalId, payload, actor } = sendSignalIn(request);
      return await engine.signals.send(caller, {
        runId,
        name,
        signalId,
        payload,
        actor: actorOf(caller, actor),
      });
    }),
    unary(rpc.listSignals, async (request, { caller }) => {
      const page = await engine.signals.list(caller, listSignalsIn(request));
      return { signals: page.signals.map(signalOut), nextPageToken: page.nextPageToken };
    }),
  ];
}
