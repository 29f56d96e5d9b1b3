/**
 * An engine that only reads. Each function is named here, so that one which is added to the engine does
 * not compile until somebody has decided what a replay does with it.
 */
import type { EngineApi, OutcomeReply } from "../engine/api.ts";
import { PawlError } from "../model/errors.ts";

const CONTINUE: OutcomeReply = Object.freeze({ directive: "continue" });

export function readOnly(inner: EngineApi): EngineApi {
  return {
    // What only reads.
    getRun: (...args) => inner.getRun(...args),
    waitRun: (...args) => inner.waitRun(...args),
    listRuns: (...args) => inner.listRuns(...args),
    getJournal: (...args) => inner.getJournal(...args),
    getStep: (...args) => inner.getStep(...args),
    listSignals: (...args) => inner.listSignals(...args),
    listWaits: (...args) => inner.listWaits(...args),
    getWait: (...args) => inner.getWait(...args),
    findWait: (...args) => inner.findWait(...args),
    findQuestion: (...args) => inner.findQuestion(...args),
    listSteps: (...args) => inner.listSteps(...args),
    openLink: (...args) => inner.openLink(...args),
    cursorNow: (...args) => inner.cursorNow(...args),
    watchRun: (...args) => inner.watchRun(...args),
    watchRuns: (...args) => inner.watchRuns(...args),
    listEvents: (...args) => inner.listEvents(...args),
    getPayload: (...args) => inner.getPayload(...args),
    listWorkers: (...args) => inner.listWorkers(...args),
    listWorkflows: (...args) => inner.listWorkflows(...args),
    getWorkflow: (...args) => inner.getWorkflow(...args),
    ready: () => inner.ready(),

    // What a worker needs to be given runs; it changes no run.
    openSession: (...args) => inner.openSession(...args),
    pollWork: (...args) => inner.pollWork(...args),
    heartbeatLeases: (...args) => inner.heartbeatLeases(...args),
    putPayload: (...args) => inner.putPayload(...args),

    // What a worker says on its way, and nobody needs here.
    closeWaits: async () => CONTINUE,
    beginCleanUp: async () => CONTINUE,
    publishEvents: async (_, __, ___, events, first) => ({
      accepted: events.length,
      acknowledged: Math.max(0, first + events.length - 1),
    }),

    // What changes something.
    startRun: refuse,
    cancelRun: refuse,
    pauseRun: refuse,
    resumeRun: refuse,
    retryRun: refuse,
    deleteRun: refuse,
    updateTags: refuse,
    stepStarted: refuse,
    stepCompleted: refuse,
    stepFailed: refuse,
    suspendRun: refuse,
    completeRun: refuse,
    failRun: refuse,
    sendSignal: refuse,
    answerWait: refuse,
    cancelWait: refuse,
    createWaitLink: refuse,
  };
}

async function refuse(): Promise<never> {
  throw new PawlError(
    "PERMISSION_DENIED",
    "A replay changes nothing: calls that act are refused while recorded runs are executed again.",
  );
}
