import { SignalService } from "@pawl/proto";
import { actorOf } from "../../auth/actor.ts";
import type { EngineApi } from "../../engine/api.ts";
import { type Binding, unary } from "../binding.ts";
import { payloadOut, timestamp } from "../convert/common.ts";
import { listSignalsIn, sendSignalIn, signalOut } from "../convert/event.ts";
import { name } from "../convert/field.ts";
import { waitIdIn } from "../convert/question.ts";
import {
  commentIn,
  createAnswerLinkIn,
  listWaitsIn,
  resolveWaitIn,
  waitOut,
} from "../convert/wait.ts";

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
    unary(rpc.listWaits, async (request, { caller }) => {
      const { waits, nextPageToken } = await engine.listWaits(caller, listWaitsIn(request));
      return { waits: waits.map(waitOut), nextPageToken };
    }),
    unary(rpc.getWait, async (request, { caller }) => {
      const { wait, payload } = await engine.getWait(caller, waitIdIn(request.waitId));
      return { wait: waitOut(wait), ...(payload && { payload: payloadOut(payload) }) };
    }),
    unary(rpc.resolveWait, async (request, { caller }) => {
      const command = resolveWaitIn(request);
      const actor = actorOf(caller, command.actor);
      const resolved = await engine.resolveWait(caller, { ...command, actor });
      return { ...resolved, wait: waitOut(resolved.wait) };
    }),
    unary(rpc.cancelWait, async (request, { caller }) => {
      const id = waitIdIn(request.waitId);
      const comment = commentIn(request.comment);
      const actor = actorOf(caller, name("actor", request.actor));
      const wait = await engine.cancelWait(caller, id, actor, comment);
      return { wait: waitOut(wait) };
    }),
    unary(rpc.createAnswerLink, async (request, { caller }) => {
      const { id, assignee, expiresInMs } = createAnswerLinkIn(request);
      const link = await engine.createAnswerLink(caller, id, assignee, expiresInMs);
      return { url: link.url, token: link.token, expiresAt: timestamp(link.expiresAt) };
    }),
  ];
}
