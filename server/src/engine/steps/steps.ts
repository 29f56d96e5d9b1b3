/** Use cases on steps and on the outcome of a run: what a worker reports. */

import type { Clock } from "../../lib/clock.ts";
import { uniqueId } from "../../lib/ids.ts";
import { BOUNDS } from "../../model/bounds.ts";
import type { Caller } from "../../model/caller.ts";
import { type Entry, type EntryHead, isWaitKind } from "../../model/entry.ts";
import { notFound } from "../../model/errors.ts";
import { formatPageToken, parsePageToken, runKey } from "../../model/ids.ts";
import { payloadSize } from "../../model/payload.ts";
import { waitIdOf } from "../../model/wait-id.ts";
import type { Store } from "../../store/store.ts";
import type { Metrics } from "../../telemetry/metrics.ts";
import { directive } from "../decide/fence-rules.ts";
import * as results from "../decide/step-results.ts";
import { stepStarted as decideStart } from "../decide/step-rules.ts";
import type { Intake } from "../events/intake.ts";
import { bytesOfEntry, countWithin } from "../events/size.ts";
import { readEntry } from "../journal/journal-reads.ts";
import { stateOf } from "../journal/run-memory.ts";
import { checkPayload } from "../payloads/payloads.ts";
import type { WaitLinks } from "../waits/wait-links.ts";
import { atNextTime, checkForm } from "../waits/wait-specs.ts";
import type { Connections } from "../workers/connections.ts";
import type { Writer } from "../writer.ts";
import { mustEqual } from "./same-result.ts";
import type {
  ListSteps,
  StepCompleted,
  StepCompletedReply,
  StepFailed,
  StepFailedReply,
  StepIdentity,
  StepOutcome,
  StepStarted,
  StepStartedReply,
} from "./step-types.ts";

export interface StepsParts {
  readonly store: Store;
  readonly clock: Clock;
  readonly writer: Writer;
  readonly connections: Connections;
  readonly intake: Intake;
  readonly links: WaitLinks;
  readonly metrics: Metrics;
}

/** Use cases on steps: what a worker reports about one, and what it is told to do. */
export class Steps {
  readonly #parts: StepsParts;

  constructor(parts: StepsParts) {
    this.#parts = parts;
  }

  async start(caller: Caller, request: StepStarted): Promise<StepStartedReply> {
    // A call that names no request is one all the same when the writer has to decide it again.
    const named = request.requestId === "" ? { ...request, requestId: `~${shortId()}` } : request;
    const isFormChecked = checkForm(named.wait);
    if (isFormChecked !== undefined) await isFormChecked;
    // No await for all others: the requests of a connection keep their order.
    const started =
      named.wait?.cron === undefined
        ? named
        : { ...named, wait: await atNextTime(this.#parts.clock, named.wait) };
    const decided = await this.#parts.writer.submit({
      org: caller.org,
      runId: started.runId,
      holder: { fence: started.fence, connection: caller.connection },
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
        ? { callback: await this.#parts.links.callbackAddress(caller, { ...started, runUid }) }
        : {};
    if (decision.kind === "replay") {
      this.#parts.metrics.replays.inc();
      const run = { runId: started.runId, runUid };
      const entry = await readEntry(this.#parts.store, caller, run, decision.seq);
      return {
        outcome: { ...replayOf(entry), ...callback },
        directive: decided.directive,
        ...(waitId === undefined ? {} : { waitId }),
      };
    }
    if (decision.kind === "conflict") {
      return {
        outcome: await this.#withRecordedInput(caller, started, decision),
        directive: decided.directive,
      };
    }
    return {
      outcome: { ...decision, ...callback },
      directive: decided.directive,
      ...(waitId === undefined ? {} : { waitId }),
    };
  }

  /** Shows the recorded input beside the attempted one, where it was small enough to be kept. */
  async #withRecordedInput(
    caller: Caller,
    started: StepStarted,
    conflict: Extract<StepOutcome, { kind: "conflict" }>,
  ): Promise<StepOutcome> {
    const entry = await this.get(caller, started.runId, started.key);
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

  async complete(caller: Caller, result: StepCompleted): Promise<StepCompletedReply> {
    if (result.output.ref !== undefined)
      await checkPayload(this.#parts.store, caller, result.output);
    const start = this.#parts.connections.stepEnded(runKey(caller.org, result.runId), result.key);
    const known = this.#withDeltas(caller, result);
    const completed = start === undefined ? known : { ...known, ...identityFrom(start, result) };
    const decided = await this.#parts.writer.submit({
      org: caller.org,
      runId: completed.runId,
      holder: { fence: completed.fence, connection: caller.connection },
      bytes: ROW_BYTES + payloadSize(completed.output),
      decide: (draft) => {
        const decision = results.stepCompleted(draft, completed);
        return {
          seq: decision.seq,
          duplicateOf: decision.duplicateOf,
          runUid: draft.header.runUid,
          directive: directive(draft.header),
        };
      },
    });
    if (decided.duplicateOf !== undefined) {
      const { runId, key, output } = completed;
      const of = { runId, runUid: decided.runUid, key };
      await mustEqual(this.#parts.store, caller, of, decided.duplicateOf, output);
    }
    return decided;
  }

  /** Whether the attempt has sent deltas, where its worker does not say so. */
  #withDeltas<R extends StepCompleted | StepFailed>(caller: Caller, result: R): R {
    if ((result.deltas ?? 0) > 0) return result;
    const key = runKey(caller.org, result.runId);
    const deltas = this.#parts.intake.sentBy(key, result.fence, result.key, result.attempt);
    return deltas === 0 ? result : { ...result, deltas };
  }

  async fail(caller: Caller, result: StepFailed): Promise<StepFailedReply> {
    const start = this.#parts.connections.stepEnded(runKey(caller.org, result.runId), result.key);
    const known = this.#withDeltas(caller, result);
    const failed =
      start === undefined
        ? known
        : {
            ...known,
            ...identityFrom(start, result),
            retryPolicy: result.retryPolicy ?? start.retryPolicy,
          };
    return this.#parts.writer.submit({
      org: caller.org,
      runId: failed.runId,
      holder: { fence: failed.fence, connection: caller.connection },
      bytes: ROW_BYTES + failed.failure.message.length + (failed.failure.stack?.length ?? 0),
      decide: (draft) => results.stepFailed(draft, failed),
    });
  }

  async get(caller: Caller, runId: string, key: string): Promise<Entry | undefined> {
    const held = this.#parts.store.replicas
      ? undefined
      : this.#parts.writer.cached(runKey(caller.org, runId));
    const seq = held?.steps.get(key)?.seq;
    if (held !== undefined && seq !== undefined) {
      const { runUid } = held.header;
      const [entry] = await this.#parts.store.readEntries(caller, runId, [seq], runUid);
      if (entry !== undefined) return readEntry(this.#parts.store, caller, { runId, runUid }, seq);
      // What is in memory may be on its way to the store: say what is there.
    }
    const [loaded] = await this.#parts.store.loadRuns([{ org: caller.org, runId, afterSeq: 0 }]);
    if (loaded === undefined) throw notFound("run", runId);
    const step = stateOf(loaded.header, loaded.entries).steps.get(key);
    return step === undefined
      ? undefined
      : readEntry(this.#parts.store, caller, loaded.header, step.seq);
  }

  /** The latest entry of each step and wait, in the order of their first ones. */
  async list(
    caller: Caller,
    { runId, pageSize, pageToken }: ListSteps,
  ): Promise<{ steps: EntryHead[]; nextPageToken: string }> {
    const [first] = pageToken === "" ? [0] : parsePageToken(pageToken, ["number"]);
    const [run] = await this.#parts.store.loadRuns([{ org: caller.org, runId, afterSeq: 0 }]);
    if (run === undefined) throw notFound("run", runId);
    const latest = new Map<string, EntryHead>();
    for (const entry of run.entries) if (entry.key !== "") latest.set(entry.key, entry);
    const all = [...latest.values()];
    const page = { items: pageSize, bytes: BOUNDS.journalPageBytes };
    const end = first + countWithin(all, first, page, bytesOfEntry);
    return {
      steps: all.slice(first, end),
      // Steps are only added, so that a place in their order stays what it is.
      nextPageToken: end < all.length ? formatPageToken([end]) : "",
    };
  }
}

/** About what a row takes besides its payload. */
const ROW_BYTES = 300;

function shortId(): string {
  return uniqueId().slice(0, 8);
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
