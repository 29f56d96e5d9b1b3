import type { Clock } from "../../lib/clock.ts";
import type { Caller } from "../../model/caller.ts";
import type { Entry } from "../../model/entry.ts";
import { runKey } from "../../model/ids.ts";
import { payloadSize } from "../../model/payload.ts";
import type { Store } from "../../store/store.ts";
import type { Tracing } from "../../telemetry/tracing.ts";
import { beginCleanUp as decideBegin } from "../decide/clean-up.ts";
import { closeWaits as decideClose } from "../decide/closing-rules.ts";
import * as outcome from "../decide/outcome-rules.ts";
import { withPayloads } from "../journal/journal-reads.ts";
import { traceOutcome, withEnd } from "../observability/engine-traces.ts";
import { checkPayload } from "../payloads/payloads.ts";
import { mustEqual } from "../steps/same-result.ts";
import { atNextTime, checkForm } from "../waits/wait-specs.ts";
import type { Connections } from "../workers/connections.ts";
import type { Writer } from "../writer.ts";
import type {
  BeginCleanUp,
  CloseWaits,
  CompleteRun,
  FailRun,
  OutcomeReply,
  SuspendReply,
  SuspendRun,
} from "./outcome-types.ts";

/** About what a row takes besides its payload. */
const ROW_BYTES = 300;

export interface OutcomesParts {
  readonly store: Store;
  readonly clock: Clock;
  readonly writer: Writer;
  readonly connections: Connections;
  readonly tracing: Tracing | undefined;
}

/** Use cases on a run as a whole: what the worker that holds it reports. */
export class Outcomes {
  readonly #parts: OutcomesParts;

  constructor(parts: OutcomesParts) {
    this.#parts = parts;
  }

  async suspend(caller: Caller, suspend: SuspendRun): Promise<SuspendReply> {
    for (const { wait } of suspend.waits) {
      const isChecked = checkForm(wait);
      if (isChecked !== undefined) await isChecked;
    }
    const timed = suspend.waits.some(({ wait }) => wait.cron !== undefined);
    const waits = timed
      ? await Promise.all(
          suspend.waits.map(async (one) => ({
            ...one,
            wait: await atNextTime(this.#parts.clock, one.wait),
          })),
        )
      : suspend.waits;
    const holder = this.#parts.connections.holder(runKey(caller.org, suspend.runId));
    const stopping = holder?.draining === true;
    const decided = await this.#parts.writer.submit({
      org: caller.org,
      runId: suspend.runId,
      holder: { fence: suspend.fence, connection: caller.connection },
      bytes: ROW_BYTES * (1 + suspend.waits.length),
      decide: (draft) => {
        const { runUid } = draft.header;
        const spec = holder?.worker.workflows.find(({ name }) => name === draft.header.workflow);
        const by = { stopping, ...(spec === undefined ? {} : { version: spec.version }) };
        return { ...outcome.suspendRun(draft, { ...suspend, waits }, by), runUid };
      },
    });
    const { resolvedSeqs, runUid } = decided;
    if (resolvedSeqs.length === 0)
      return { resumed: decided.resumed, directive: decided.directive, resolved: [] };
    const { runId } = suspend;
    const read = await this.#parts.store.readEntries(caller, runId, resolvedSeqs, runUid);
    const entries = read.filter((entry): entry is Entry => entry !== undefined);
    const resolved = await withPayloads(this.#parts.store, caller, runId, entries, runUid);
    return { resumed: decided.resumed, directive: decided.directive, resolved };
  }

  async complete(caller: Caller, complete: CompleteRun): Promise<OutcomeReply> {
    if (complete.output.ref !== undefined)
      await checkPayload(this.#parts.store, caller, complete.output);
    const {
      reply: decided,
      ended,
      runUid,
    } = await this.#parts.writer.submit({
      org: caller.org,
      runId: complete.runId,
      holder: { fence: complete.fence, connection: caller.connection },
      bytes: ROW_BYTES + payloadSize(complete.output),
      decide: (draft) => ({
        ...withEnd(draft, () => outcome.completeRun(draft, complete)),
        runUid: draft.header.runUid,
      }),
    });
    if (complete.traced !== true) traceOutcome(this.#parts.tracing, ended, undefined);
    if (decided.duplicateOf !== undefined) {
      const of = { runId: complete.runId, runUid, key: "" };
      await mustEqual(this.#parts.store, caller, of, decided.duplicateOf, complete.output);
    }
    return { directive: decided.directive };
  }

  async fail(caller: Caller, fail: FailRun): Promise<OutcomeReply> {
    const { reply: decided, ended } = await this.#parts.writer.submit({
      org: caller.org,
      runId: fail.runId,
      holder: { fence: fail.fence, connection: caller.connection },
      bytes: ROW_BYTES + fail.failure.message.length + (fail.failure.stack?.length ?? 0),
      decide: (draft) => withEnd(draft, () => outcome.failRunByWorker(draft, fail)),
    });
    if (fail.traced !== true) traceOutcome(this.#parts.tracing, ended, fail.failure.type);
    return { directive: decided.directive };
  }

  async closeWaits({ org, connection }: Caller, close: CloseWaits): Promise<OutcomeReply> {
    return {
      directive: await this.#parts.writer.submit({
        ...{ org, runId: close.runId, bytes: ROW_BYTES * close.keys.length },
        holder: { fence: close.fence, connection },
        decide: (draft) => decideClose(draft, close),
      }),
    };
  }

  async beginCleanUp({ org, connection }: Caller, begin: BeginCleanUp): Promise<OutcomeReply> {
    return {
      directive: await this.#parts.writer.submit({
        ...{ org, runId: begin.runId, bytes: ROW_BYTES * begin.compensations.length },
        holder: { fence: begin.fence, connection },
        decide: (draft) => decideBegin(draft, begin),
      }),
    };
  }
}
