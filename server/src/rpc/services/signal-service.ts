import { SignalService } from "@pawl/proto";
import type { EngineApi } from "../../engine/engine-api.ts";
import { type Binding, unary } from "../binding.ts";
import type { ClientCalls } from "../client-calls.ts";
import { listSignalsIn, signalOut } from "../convert/event-messages.ts";

export function signalService(engine: EngineApi, calls: ClientCalls): Binding[] {
  const rpc = SignalService.method;
  return [
    unary(rpc.sendSignal, (request, context) => calls.sendSignal(request, context)),
    unary(rpc.listSignals, async (request, { caller }) => {
      const page = await engine.signals.list(caller, listSignalsIn(request));
      return { signals: page.signals.map(signalOut), nextPageToken: page.nextPageToken };
    }),
  ];
}
