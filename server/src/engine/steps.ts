/** Use cases on steps and on the outcome of a run: what a worker reports. */
import { sha256, uniqueId } from "../lib/ids.ts";
import type { Caller } from "../model/caller.ts";
import { type Entry, isWaitKind } from "../model/entry.ts";
import { notFound, PawlError } from "../model/errors.ts";
import { type Payload, payloadSize } from "../model/payload.ts";
import { waitIdOf } from "../model/wait-id.ts";
import type {
  BeginCleanUp,
  CloseWaits,
  CompleteRun,
  FailRun,
  OutcomeReply,
  StepCompleted,
  StepCompletedReply,
  StepFailed,
  StepFailedReply,
  StepIdentity,
  StepOutcome,
  StepStarted,
  StepStartedReply,
  SuspendReply,
  SuspendRun,
} from "./api.ts";
import type { WaitSpec } from "./api-waits.ts";
import type { Core } from "./core.ts";
import { beginCleanUp as decideBegin } from "./decide/clean-up.ts";
import { closeWaits as decideClose } from "./decide/closing.ts";
import { directive } from "./decide/common.ts";
import * as outcome from "./decide/outcome.ts";
import * as results from "./decide/step-results.ts";
import { stepStarted as decideStart } from "./decide/steps.ts";
import { checkSchema } from "./input-schema.ts";
import { readEntry, samePayload, withPayloads } from "./journal.ts";
import { callbackAddress } from "./links.ts";
import { runKey } from "./run-cache.ts";
import { checkPayload } from "./runs.ts";
import { stateOf } from "./state.ts";
import { traceOutcome, withEnd } from "./trace.ts";

/** About what a row takes besides its payload. */
const ROW_BYTES = 300;

function shortId(): string {
  return uniqueId().slice(0, 8);
}

export async function stepStarted(
  core: Core,
  caller: Caller,
  request: StepStarted,
): Promise<StepStartedReply> {
  // A call that names no request is one all the same when the writer has to decide it again.
  const named = request.requestId === "" ? { ...request, requestId: `~${shortId()}` } : request;
  const isFormChecked = checkForm(named.wait);
  if (isFormChecked !== undefined) await isFormChecked;
  // No await for all others: the requests of a session keep their order.
  const started =
    named.wait?.cron === undefined ? named : { ...named, wait: await atNextTime(core, named.wait) };
  const decided = await core.writer.submit({
    org: caller.org,
    runId: started.runId,
    holder: { fence: started.fence, session: caller.session },
    bytes: ROW_BYTES,
    decide: (draft) => ({
      decision: decideStart(draft, started),
      directive: directive(draft.header),
      runUid: draft.header.runUid,
      ...(isWaitKind(started.kind) ? { waitId: waitIdOf(draft.header, started.key) } : {}),
    }),
  });
  const { decision, runUid, waitId } = decided;
  const callback =
    started.kind === "callback" && (decision.kind === "replay" || decision.kind === "wait")
      ? { callback: await callbackAddress(core, caller, { ...started, runUid }) }
      : {};
  if (decision.kind === "replay") {
    core.metrics.replays.inc();
    const entry = await readEntry(core.store, caller, started.runId, decision.seq);
    return {
      outcome: { ...replayOf(entry), ...callback },
      directive: decided.directive,
      ...(waitId === undefined ? {} : { waitId }),
    };
  }
  if (decision.kind === "conflict") {
    return {
      outcome: await withRecordedInput(core, caller, started, decision),
      directive: decided.directive,
    };
  }
  return {
    outcome: { ...decision, ...callback },
    directive: decided.directive,
    ...(waitId === undefined ? {} : { waitId }),
  };
}

/** Undefined: there is nothing to wait for. */
function checkForm(wait: WaitSpec | undefined): Promise<void> | undefined {
  const schema = wait?.question?.formSchema;
  return schema === undefined ? undefined : checkSchema("wait.question.form_schema", schema);
}

/** With the moment that a cron expression stands for. */
async function atNextTime(core: Core, wait: WaitSpec): Promise<WaitSpec> {
  if (wait.cron === undefined) return wait;
  const { nextTime } = await import("./cron.ts");
  return { ...wait, until: nextTime(wait.cron, wait.timeZone ?? "UTC", core.clock.now()) };
}

function replayOf(entry: Entry): Extract<StepOutcome, { kind: "replay" }> {
  return {
    kind: "replay",
    seq: entry.seq,
    ...(entry.meta.failure === undefined ? {} : { failure: entry.meta.failure }),
    ...(entry.payload === undefined ? {} : { output: entry.payload }),
    ...(entry.meta.outcome === undefined ? {} : { outcome: entry.meta.outcome, resolved: entry }),
  };
}

/** Shows the recorded input beside the attempted one, where it was small enough to be kept. */
async function withRecordedInput(
  core: Core,
  caller: Caller,
  started: StepStarted,
  conflict: Extract<StepOutcome, { kind: "conflict" }>,
): Promise<StepOutcome> {
  const entry = await getStep(core, caller, started.runId, started.key);
  const kept = entry?.meta.input;
  if (kept === undefined) return conflict;
  const data =
    kept.base64 === undefined
      ? Buffer.from(kept.text ?? "", "utf8")
      : Buffer.from(kept.base64, "base64");
  return {
    ...conflict,
    recorded: { ...conflict.recorded, input: { encoding: kept.encoding, data } },
  };
}

export async function stepCompleted(
  core: Core,
  caller: Caller,
  result: StepCompleted,
): Promise<StepCompletedReply> {
  if (result.output.ref !== undefined) await checkPayload(core, caller, result.output);
  const start = core.sessions.stepEnded(runKey(caller.org, result.runId), result.key);
  const known = withDeltas(core, caller, result);
  const completed = start === undefined ? known : { ...known, ...identityFrom(start, result) };
  const decided = await core.writer.submit({
    org: caller.org,
    runId: completed.runId,
    holder: { fence: completed.fence, session: caller.session },
    bytes: ROW_BYTES + payloadSize(completed.output),
    decide: (draft) => {
      const decision = results.stepCompleted(draft, completed);
      return {
        seq: decision.seq,
        duplicateOf: decision.duplicateOf,
        directive: directive(draft.header),
      };
    },
  });
  if (decided.duplicateOf !== undefined) {
    await mustEqual(
      core,
      caller,
      completed.runId,
      completed.key,
      decided.duplicateOf,
      completed.output,
    );
  }
  return decided;
}

/** Whether the attempt has sent deltas, where its worker does not say so. */
function withDeltas<R extends StepCompleted | StepFailed>(
  core: Core,
  caller: Caller,
  result: R,
): R {
  if ((result.deltas ?? 0) > 0) return result;
  const key = runKey(caller.org, result.runId);
  const deltas = core.intake.sentBy(key, result.fence, result.key, result.attempt);
  return deltas === 0 ? result : { ...result, deltas };
}

/** What a start that only rode ahead said about its step, where the result does not repeat it. */
function identityFrom(start: StepStarted, result: StepIdentity): StepIdentity {
  if (start.fence !== result.fence) return result;
  return {
    ...result,
    name: result.name === "" ? start.name : result.name,
    kind: result.kind === "step" ? start.kind : result.kind,
    inputDigest: result.inputDigest === "" ? start.inputDigest : result.inputDigest,
    definitionDigest:
      result.definitionDigest === "" ? start.definitionDigest : result.definitionDigest,
    input: result.input ?? start.input,
  };
}

/** The same message again is fine; another result for the same thing is a conflict. */
async function mustEqual(
  core: Core,
  caller: Caller,
  runId: string,
  key: string,
  seq: number,
  payload: Payload,
): Promise<void> {
  const recorded = await readEntry(core.store, caller, runId, seq);
  if (samePayload(recorded.payload, payload, sha256)) return;
  const address = (value: Payload): string =>
    value.ref === undefined ? sha256(value.data) : value.ref.sha256;
  const what = key === "" ? `Run "${runId}"` : `Step "${key}" of run "${runId}"`;
  throw new PawlError(
    "COMMIT_CONFLICT",
    `${what} has another result already; this one was not recorded. Read the recorded one.`,
    {
      metadata: {
        run_id: runId,
        step_key: key,
        recorded_seq: String(seq),
        recorded_digest: recorded.payload === undefined ? "" : address(recorded.payload),
        attempted_digest: address(payload),
      },
    },
  );
}

export async function stepFailed(
  core: Core,
  caller: Caller,
  result: StepFailed,
): Promise<StepFailedReply> {
  const start = core.sessions.stepEnded(runKey(caller.org, result.runId), result.key);
  const known = withDeltas(core, caller, result);
  const failed =
    start === undefined
      ? known
      : {
          ...known,
          ...identityFrom(start, result),
          retryPolicy: result.retryPolicy ?? start.retryPolicy,
        };
  return core.writer.submit({
    org: caller.org,
    runId: failed.runId,
    holder: { fence: failed.fence, session: caller.session },
    bytes: ROW_BYTES + failed.failure.message.length + (failed.failure.stack?.length ?? 0),
    decide: (draft) => results.stepFailed(draft, failed),
  });
}

export async function getStep(
  core: Core,
  caller: Caller,
  runId: string,
  key: string,
): Promise<Entry | undefined> {
  const held = core.store.replicas ? undefined : core.writer.cached(runKey(caller.org, runId));
  const seq = held?.steps.get(key)?.seq;
  if (seq !== undefined) {
    const [entry] = await core.store.readEntries(caller, runId, [seq]);
    if (entry !== undefined) return readEntry(core.store, caller, runId, seq);
    // What is in memory may be on its way to the store: say what is there.
  }
  const [loaded] = await core.store.loadRuns([{ org: caller.org, runId, afterSeq: 0 }]);
  if (loaded === undefined) throw notFound("run", runId);
  const step = stateOf(loaded.header, loaded.entries).steps.get(key);
  return step === undefined ? undefined : readEntry(core.store, caller, runId, step.seq);
}

export async function suspendRun(
  core: Core,
  caller: Caller,
  suspend: SuspendRun,
): Promise<SuspendReply> {
  for (const { wait } of suspend.waits) {
    const isChecked = checkForm(wait);
    if (isChecked !== undefined) await isChecked;
  }
  const timed = suspend.waits.some(({ wait }) => wait.cron !== undefined);
  const waits = timed
    ? await Promise.all(
        suspend.waits.map(async (one) => ({ ...one, wait: await atNextTime(core, one.wait) })),
      )
    : suspend.waits;
  const holder = core.sessions.holder(runKey(caller.org, suspend.runId));
  const stopping = holder?.draining === true;
  const decided = await core.writer.submit({
    org: caller.org,
    runId: suspend.runId,
    holder: { fence: suspend.fence, session: caller.session },
    bytes: ROW_BYTES * (1 + suspend.waits.length),
    decide: (draft) => {
      const spec = holder?.worker.workflows.find(({ name }) => name === draft.header.workflow);
      const by = { stopping, ...(spec === undefined ? {} : { version: spec.version }) };
      return outcome.suspendRun(draft, { ...suspend, waits }, by);
    },
  });
  const { resolvedSeqs } = decided;
  if (resolvedSeqs.length === 0)
    return { resumed: decided.resumed, directive: decided.directive, resolved: [] };
  const read = await core.store.readEntries(caller, suspend.runId, resolvedSeqs);
  const entries = read.filter((entry): entry is Entry => entry !== undefined);
  const resolved = await withPayloads(core.store, caller, suspend.runId, entries);
  return { resumed: decided.resumed, directive: decided.directive, resolved };
}

export async function completeRun(
  core: Core,
  caller: Caller,
  complete: CompleteRun,
): Promise<OutcomeReply> {
  if (complete.output.ref !== undefined) await checkPayload(core, caller, complete.output);
  const { reply: decided, ended } = await core.writer.submit({
    org: caller.org,
    runId: complete.runId,
    holder: { fence: complete.fence, session: caller.session },
    bytes: ROW_BYTES + payloadSize(complete.output),
    decide: (draft) => withEnd(draft, () => outcome.completeRun(draft, complete)),
  });
  if (complete.traced !== true) traceOutcome(core, ended, undefined);
  if (decided.duplicateOf !== undefined) {
    await mustEqual(core, caller, complete.runId, "", decided.duplicateOf, complete.output);
  }
  return { directive: decided.directive };
}

export async function failRun(core: Core, caller: Caller, fail: FailRun): Promise<OutcomeReply> {
  const { reply: decided, ended } = await core.writer.submit({
    org: caller.org,
    runId: fail.runId,
    holder: { fence: fail.fence, session: caller.session },
    bytes: ROW_BYTES + fail.failure.message.length + (fail.failure.stack?.length ?? 0),
    decide: (draft) => withEnd(draft, () => outcome.failRunByWorker(draft, fail)),
  });
  if (fail.traced !== true) traceOutcome(core, ended, fail.failure.type);
  return { directive: decided.directive };
}

export async function closeWaits(
  core: Core,
  { org, session }: Caller,
  close: CloseWaits,
): Promise<OutcomeReply> {
  return {
    directive: await core.writer.submit({
      ...{ org, runId: close.runId, bytes: ROW_BYTES * close.keys.length },
      holder: { fence: close.fence, session },
      decide: (draft) => decideClose(draft, close),
    }),
  };
}

export async function beginCleanUp(
  core: Core,
  { org, session }: Caller,
  begin: BeginCleanUp,
): Promise<OutcomeReply> {
  return {
    directive: await core.writer.submit({
      ...{ org, runId: begin.runId, bytes: ROW_BYTES * begin.compensations.length },
      holder: { fence: begin.fence, session },
      decide: (draft) => decideBegin(draft, begin),
    }),
  };
}
