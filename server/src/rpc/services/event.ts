import { create } from "@bufbuild/protobuf";
import { EventService, type WatchRunResponse, WatchRunResponseSchema } from "@pawl/proto";
import type { EngineApi, RunEvent } from "../../engine/api.ts";
import { type Binding, clientStream, serverStream, unary } from "../binding.ts";
import {
  eventOut,
  firstIn,
  listEventsIn,
  newEventsIn,
  watchRunIn,
  watchRunsIn,
} from "../convert/event.ts";
import { fence, runId } from "../convert/field.ts";

/** The watchers of a run get the same events: each is converted once. */
const messages = new WeakMap<readonly RunEvent[], WatchRunResponse>();

function messageOf(events: readonly RunEvent[]): WatchRunResponse {
  let message = messages.get(events);
  if (message === undefined) {
    message = create(WatchRunResponseSchema, { events: events.map(eventOut) });
    messages.set(events, message);
  }
  return message;
}

export function eventService(engine: EngineApi): Binding[] {
  const rpc = EventService.method;
  return [
    clientStream(rpc.publishEvents, async (requests, { caller }) => {
      let accepted = 0;
      let acknowledged = 0;
      for await (const request of requests) {
        const events = newEventsIn(request.events);
        const id = runId(request.runId);
        const first = firstIn(request.first, events.length);
        const token = fence(request.fence);
        const published = await engine.publishEvents(caller, id, token, events, first);
        accepted += published.accepted;
        acknowledged = published.acknowledged;
      }
      return { accepted, acknowledged };
    }),
    serverStream(rpc.watchRun, async function* (request, { caller, signal }) {
      for await (const events of engine.watchRun(caller, watchRunIn(request), signal)) {
        yield messageOf(events);
      }
    }),
    serverStream(rpc.watchRuns, async function* (request, { caller, signal }) {
      for await (const page of engine.watchRuns(caller, watchRunsIn(request), signal)) {
        yield { events: page.events.map(eventOut), cursor: page.cursor };
      }
    }),
    unary(rpc.listEvents, async (request, { caller }) => {
      const page = await engine.listEvents(caller, listEventsIn(request));
      return { events: page.events.map(eventOut), nextCursor: page.nextCursor };
    }),
  ];
}
