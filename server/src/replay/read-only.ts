/**
 * An engine that only reads. Each method of each area is named here, so that one which is added to the
 * engine does not compile until somebody has decided what a replay does with it.
 */
import type { EngineApi, OutcomeReply } from "../engine/engine-api.ts";
import { PawlError } from "../model/errors.ts";

/** To what a worker says on its way, and nobody needs here. */
const CONTINUE: OutcomeReply = Object.freeze({ directive: "continue" });

export function readOnly({
  runs,
  steps,
  signals,
  waits,
  events,
  payloads,
  ...inner
}: EngineApi): EngineApi {
  return {
    runs: {
      get: (...args) => runs.get(...args),
      wait: (...args) => runs.wait(...args),
      list: (...args) => runs.list(...args),
      journal: (...args) => runs.journal(...args),
      start: refuse,
      startAndWait: refuse,
      cancel: refuse,
      pause: refuse,
      resume: refuse,
      retry: refuse,
      delete: refuse,
      updateTags: refuse,
    },
    steps: {
      get: (...args) => steps.get(...args),
      list: (...args) => steps.list(...args),
      start: refuse,
      complete: refuse,
      fail: refuse,
    },
    outcomes: {
      closeWaits: async () => CONTINUE,
      beginCleanUp: async () => CONTINUE,
      suspend: refuse,
      complete: refuse,
      fail: refuse,
    },
    signals: {
      list: (...args) => signals.list(...args),
      send: refuse,
    },
    waits: {
      list: (...args) => waits.list(...args),
      get: (...args) => waits.get(...args),
      find: (...args) => waits.find(...args),
      findQuestion: (...args) => waits.findQuestion(...args),
      answer: refuse,
      cancel: refuse,
      createLink: refuse,
    },
    links: { open: (...args) => inner.links.open(...args) },
    events: {
      cursorNow: (...args) => events.cursorNow(...args),
      watch: (...args) => events.watch(...args),
      watchRuns: (...args) => events.watchRuns(...args),
      list: (...args) => events.list(...args),
      publish: async (_, { events, first }) => ({
        accepted: events.length,
        acknowledged: Math.max(0, first + events.length - 1),
      }),
    },
    // What a worker needs to be given runs; it changes no run.
    workers: { attach: (...args) => inner.workers.attach(...args) },
    polling: {
      poll: (...args) => inner.polling.poll(...args),
      heartbeat: (...args) => inner.polling.heartbeat(...args),
    },
    payloads: {
      get: (...args) => payloads.get(...args),
      put: (...args) => payloads.put(...args),
    },
    registry: {
      listWorkers: (...args) => inner.registry.listWorkers(...args),
      listWorkflows: (...args) => inner.registry.listWorkflows(...args),
      getWorkflow: (...args) => inner.registry.getWorkflow(...args),
    },
    ready: () => inner.ready(),
  };
}

async function refuse(): Promise<never> {
  throw new PawlError(
    "PERMISSION_DENIED",
    "A replay changes nothing: calls that act are refused while recorded runs are executed again.",
  );
}
