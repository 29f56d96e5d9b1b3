import { EventService } from "@pawl/proto";
import type { EngineApi } from "../../engine/api.ts";
import { type Binding, clientStream, serverStream, unary } from "../binding.ts";
import { cursorIn, eventOut, newEventsIn, watchRunIn } from "../convert/event.ts";
import { fence, pageSize, runId } from "../convert/field.ts";

const EVENT_PAGE_DEFAULT = 200;
const EVENT_PAGE_MAX = 1_000;

export function eventService(engine: EngineApi): Binding[] {
  const rpc = EventService.method;
  return [
    clientStream(rpc.publishEvents, async (requests, { caller }) => {
      let accepted = 0;
      for await (const request of requests) {
        const events = newEventsIn(request.events);
        const id = runId(request.runId);
        accepted += await engine.publishEvents(caller, id, fence(request.fence), events);
      }
      return { accepted };
    }),
    serverStream(rpc.watchRun, async function* (request, { caller, signal }) {
      for await (const events of engine.watchRun(caller, watchRunIn(request), signal)) {
        yield { events: events.map(eventOut) };
      }
    }),
    unary(rpc.listEvents, async (request, { caller }) => {
      const size = pageSize(request.pageSize, EVENT_PAGE_DEFAULT, EVENT_PAGE_MAX);
      const after = cursorIn(request.afterCursor);
      const page = await engine.listEvents(caller, runId(request.runId), after, size);
      return { events: page.events.map(eventOut), nextCursor: page.nextCursor };
    }),
  ];
}
