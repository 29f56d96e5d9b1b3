import { create } from "@bufbuild/protobuf";
import { EventService, type WatchRunResponse, WatchRunResponseSchema } from "@pawl/proto";
import type { EngineApi, RunEvent } from "../../engine/engine-api.ts";
import { bytesOfEvent, countWithin } from "../../engine/events/size.ts";
import { BOUNDS } from "../../model/bounds.ts";
import { type Binding, clientStream, serverStream, unary } from "../binding.ts";
import { eventOut, listEventsIn, watchRunIn, watchRunsIn } from "../convert/event-messages.ts";
import { WORKER_REQUESTS } from "../worker-requests.ts";

/** The watchers of a run get the same events: they are cut into messages, and each is converted, once. */
const parts = new WeakMap<readonly RunEvent[], readonly (readonly RunEvent[])[]>();
const messages = new WeakMap<readonly RunEvent[], WatchRunResponse>();
/** Well below what a message may have, also as JSON; few events, so that the first leave soon. */
const PART = { items: 500, bytes: BOUNDS.journalPageBytes };

function partsOf(events: readonly RunEvent[]): readonly (readonly RunEvent[])[] {
  let known = parts.get(events);
  if (known === undefined) {
    known = [...cut(events)];
    parts.set(events, known);
  }
  return known;
}

function* cut(events: readonly RunEvent[]): Generator<readonly RunEvent[]> {
  for (let at = 0; at < events.length; ) {
    const count = countWithin(events, at, PART, bytesOfEvent);
    yield count === events.length ? events : events.slice(at, at + count);
    at += count;
  }
}

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
        const { value: published } = await WORKER_REQUESTS.publishEvents(engine, caller, request);
        accepted += published.accepted;
        acknowledged = published.acknowledged;
      }
      return { accepted, acknowledged };
    }),
    serverStream(rpc.watchRun, async function* (request, { caller, signal }) {
      let watch = watchRunIn(request);
      if (watch.fromNow) {
        const cursor = await engine.events.cursorNow(caller, watch);
        // At once, so that what happens while the connection is lost is not missed.
        yield { events: [], cursor };
        watch = { ...watch, fromNow: false, afterCursor: cursor };
      }
      for await (const events of engine.events.watch(caller, watch, signal)) {
        for (const part of partsOf(events)) yield messageOf(part);
      }
    }),
    serverStream(rpc.watchRuns, async function* (request, { caller, signal }) {
      for await (const page of engine.events.watchRuns(caller, watchRunsIn(request), signal)) {
        if (page.events.length === 0) yield { events: [], cursor: page.cursor };
        for (const part of cut(page.events))
          yield { events: part.map(eventOut), cursor: page.cursor };
      }
    }),
    unary(rpc.listEvents, async (request, { caller }) => {
      const page = await engine.events.list(caller, listEventsIn(request));
      return { events: page.events.map(eventOut), nextCursor: page.nextCursor };
    }),
  ];
}
