import { WaitService } from "@pawl/proto";
import { actorOf } from "../../auth/actor.ts";
import type { EngineApi, WaitKey } from "../../engine/engine-api.ts";
import type { Caller } from "../../model/caller.ts";
import { type Binding, unary } from "../binding.ts";
import { payloadOut, timestamp } from "../convert/common-messages.ts";
import { name } from "../convert/fields.ts";
import {
  answerWaitIn,
  commentIn,
  createWaitLinkIn,
  listWaitsIn,
  waitIdIn,
  waitOut,
} from "../convert/wait-messages.ts";

/** The wait that an answer is for. */
async function answered(
  engine: EngineApi,
  caller: Caller,
  wait: ReturnType<typeof answerWaitIn>["wait"],
  resolutionId: string,
): Promise<WaitKey> {
  if ("waitId" in wait) return await engine.waits.find(caller, wait.waitId);
  if (wait.key !== "") return wait;
  return await engine.waits.findQuestion(caller, wait.runId, resolutionId);
}

export function waitService(engine: EngineApi): Binding[] {
  const rpc = WaitService.method;
  return [
    unary(rpc.listWaits, async (request, { caller }) => {
      const { waits, nextPageToken } = await engine.waits.list(caller, listWaitsIn(request));
      return { waits: waits.map(waitOut), nextPageToken };
    }),
    unary(rpc.getWait, async (request, { caller }) => {
      const found = await engine.waits.find(caller, waitIdIn(request.waitId));
      const { wait, payload } = await engine.waits.get(caller, found);
      return { wait: waitOut(wait), ...(payload && { payload: payloadOut(payload) }) };
    }),
    unary(rpc.answerWait, async (request, { caller }) => {
      const { wait, answer } = answerWaitIn(request);
      const found = await answered(engine, caller, wait, answer.resolutionId);
      const reply = await engine.waits.answer(caller, {
        ...found,
        ...answer,
        actor: actorOf(caller, answer.actor),
      });
      return { ...reply, wait: waitOut(reply.wait) };
    }),
    unary(rpc.cancelWait, async (request, { caller }) => {
      const actor = actorOf(caller, name("actor", request.actor));
      const comment = commentIn(request.comment);
      const found = await engine.waits.find(caller, waitIdIn(request.waitId));
      return { wait: waitOut(await engine.waits.cancel(caller, found, { actor, comment })) };
    }),
    unary(rpc.createWaitLink, async (request, { caller }) => {
      const { waitId, assignee, expiresInMs } = createWaitLinkIn(request);
      const found = await engine.waits.find(caller, waitId);
      const link = await engine.waits.createLink(caller, found, { assignee, expiresInMs });
      return { url: link.url, token: link.token, expiresAt: timestamp(link.expiresAt) };
    }),
  ];
}
