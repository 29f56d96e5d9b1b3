import type { Channel, Hub } from "../../hub/hub.ts";
import type { Clock } from "../../lib/clock.ts";
import { digest, uuidv7 } from "../../lib/ids.ts";
import { BOUNDS } from "../../model/bounds.ts";
import type { Caller, Tenant } from "../../model/caller.ts";
import type { Entry } from "../../model/entry.ts";
import { invalid, leaseLost, PawlError } from "../../model/errors.ts";
import { formatConnectionId, formatPageToken, parsePageToken, runKey } from "../../model/ids.ts";
import type { Payload } from "../../model/payload.ts";
import { hasLapsed, isTerminal, type RunHeader, timeoutsFrom } from "../../model/run.ts";
import type { Store } from "../../store/store.ts";
import type { Tracing } from "../../telemetry/tracing.ts";
import { limitsOf } from "../admission/admission.ts";
import * as lifecycle from "../decide/lifecycle-rules.ts";
import {
  newRun,
  noteChild,
  type StartCommand,
  type StartReply,
  startAgain,
} from "../decide/start-rules.ts";
import type { Draft } from "../draft.ts";
import type { NewEvent } from "../events/event-types.ts";
import { withPayloads, workItem } from "../journal/journal-reads.ts";
import { type RunMemory, stateOf } from "../journal/run-memory.ts";
import { startTraced } from "../observability/engine-traces.ts";
import { checkPayload } from "../payloads/payloads.ts";
import { checkInput } from "../schemas/input-schema.ts";
import type { Connections } from "../workers/connections.ts";
import type { WorkerRegistry } from "../workers/worker-registry.ts";
import type { Writer } from "../writer.ts";
import { startDebounced } from "./debounced-start.ts";
import { readHeader } from "./read-header.ts";
import { openBeside, outlookOf } from "./run-outlook.ts";
import type {
  CancelRun,
  GetJournal,
  ListRuns,
  RunView,
  StartedRun,
  StartRun,
  UpdateTags,
  WaitRun,
} from "./run-types.ts";
import { explain, explainInList, viewOf } from "./run-view.ts";

export interface RunsParts {
  readonly connections: Connections;
  readonly store: Store;
  readonly clock: Clock;
  readonly writer: Writer;
  readonly registry: WorkerRegistry;
  readonly hub: Hub<NewEvent, RunView>;
  readonly tracing: Tracing | undefined;
  readonly replicaId: string;
  /** Set where all callers are in this process, which it names. */
  readonly process: string | undefined;
}

/** Use cases on runs: start, read, steer. */
export class Runs {
  readonly #parts: RunsParts;

  constructor(parts: RunsParts) {
    this.#parts = parts;
  }

  start(caller: Caller, asked: StartRun): Promise<StartedRun> {
    const { tracing } = this.#parts;
    return startTraced(tracing, asked, (traced) => this.#start(caller, traced));
  }

  async #start(caller: Caller, asked: StartRun): Promise<StartedRun> {
    if (asked.runId !== "" && asked.idempotencyKey !== "") {
      throw invalid("idempotency_key", "names the run, and so does run_id; give one of them");
    }
    // A claimer executes the run itself; a child may be deployed later than its parent, and waits.
    const workflow =
      asked.claim || asked.parent !== undefined
        ? await this.#parts.registry.find(caller, asked.workflow)
        : await this.#parts.registry.get(caller, asked.workflow);
    const start = { ...timeoutsFrom(workflow?.timeouts ?? ""), ...asked };
    await checkInput(start.workflow, workflow?.inputSchema ?? "", start.input);
    await checkPayload(this.#parts.store, caller, start.input);
    await this.#checkParent(caller, start);

    const now = this.#parts.clock.now();
    const { process, replicaId } = this.#parts;
    const workerId = start.workerId || (process ?? "a caller without a name");
    const instance = `${workerId}/${uuidv7(now)}`;
    const connectionId = formatConnectionId(
      process === undefined
        ? { kind: "claim", instance }
        : { kind: "attached", replica: replicaId, instance },
    );
    const command: StartCommand = {
      org: caller.org,
      start,
      runId: start.runId !== "" ? start.runId : idFor(caller, start, now),
      runUid: uuidv7(now),
      inputDigest: inputDigest(start.input),
      limits: await limitsOf(this.#parts.store, caller, start, workflow?.flow ?? ""),
      claim: start.claim
        ? {
            connectionId,
            workerId,
            until: now + BOUNDS.leaseMs,
          }
        : undefined,
    };
    if (start.debounce !== undefined) {
      const { draft, existing } = await startDebounced(this.#parts, caller, command);
      const header = { ...draft.header };
      const outlook = await outlookOf(this.#parts, header);
      return { run: { header, ...explain(header, now, outlook) }, existing };
    }
    await this.#announceChild(caller, command);
    const result = await this.#parts.writer.submit<StartReply & { draft: Draft }>({
      org: caller.org,
      runId: command.runId,
      bytes: (start.input.data?.byteLength ?? 0) + 500,
      create: (moment) => {
        const draft = newRun(command, moment);
        return { draft, reply: { existing: false, claimed: draft.header.lease !== null, draft } };
      },
      decide: (draft) => ({ ...startAgain(draft, command), draft }),
    });
    const header = { ...result.draft.header };
    const outlook = await outlookOf(this.#parts, header);
    const run = isTerminal(header.status)
      ? await viewOf(this.#parts.store, caller, header, now, outlook, { withInput: false })
      : { header, ...explain(header, now, outlook) };
    if (!result.claimed) return { run, existing: result.existing };
    const limit = { entries: BOUNDS.journalPageEntries, bytes: BOUNDS.dispatchJournalBytes };
    const page = await this.#parts.store.readJournal(caller, header.runId, 0, limit);
    return {
      run,
      existing: result.existing,
      claimed: await workItem(this.#parts.store, header, page.entries),
    };
  }

  /** Only who executes a run starts children of it. */
  async #checkParent(caller: Caller, start: StartRun): Promise<void> {
    const { parent } = start;
    if (parent === undefined) return;
    const header = await readHeader(this.#parts.store, caller, parent.runId);
    if (header.fence !== parent.fence || (header.lease === null && !hasLapsed(header)))
      throw leaseLost(parent.runId, parent.fence, header.fence);
  }

  /** A child that is cancelled with its parent is known to it before there is one. */
  async #announceChild({ org, connection }: Caller, { runId, start }: StartCommand): Promise<void> {
    const { parent } = start;
    if (parent?.close !== "cancel") return;
    // A worker starts children by a call of its own, also where it holds the parent by a connection.
    const holder = this.#parts.connections.nameOfHolder(runKey(org, parent.runId), parent.fence);
    await this.#parts.writer.submit({
      org,
      runId: parent.runId,
      holder: { fence: parent.fence, connection: connection ?? holder },
      bytes: 300,
      decide: (draft) => noteChild(draft, parent.fence, parent.key, runId),
    });
  }

  /** @param how `basic`: without what has to be read from its journal */
  async get(caller: Caller, runId: string, how: "basic" | "full" = "full"): Promise<RunView> {
    const header = await readHeader(this.#parts.store, caller, runId);
    if (how === "full") return this.#view(caller, header, { withInput: true });
    const why = explainInList(
      header,
      this.#parts.clock.now(),
      await outlookOf(this.#parts, header),
    );
    return { header, ...why, ...(await openBeside(this.#parts.store, header)) };
  }

  async #view(
    caller: Caller,
    header: RunHeader,
    { withInput }: { readonly withInput: boolean },
  ): Promise<RunView> {
    const outlook = await outlookOf(this.#parts, header);
    const seen = await viewOf(this.#parts.store, caller, header, this.#parts.clock.now(), outlook, {
      withInput,
    });
    return { ...seen, ...(await openBeside(this.#parts.store, header)) };
  }

  async wait(caller: Caller, { runId, timeoutMs }: WaitRun, signal: AbortSignal): Promise<RunView> {
    const channel = this.#parts.hub.watch(runKey(caller.org, runId));
    try {
      const header = await readHeader(this.#parts.store, caller, runId);
      return await this.#untilEnd(caller, channel, header, timeoutMs, signal);
    } finally {
      channel.close();
    }
  }

  /** The run once it has ended, or as it is after that time or when the signal fires. */
  async startAndWait(
    caller: Caller,
    asked: StartRun,
    timeoutMs: number,
    signal: AbortSignal,
  ): Promise<StartedRun> {
    const { hub } = this.#parts;
    // The watch begins before the start, so that no end is missed, however soon it comes.
    const channel = asked.runId === "" ? undefined : hub.watch(runKey(caller.org, asked.runId));
    try {
      const { run, existing } = await this.start(caller, asked);
      const { header } = run;
      if (isTerminal(header.status)) return { run, existing };
      const ended =
        channel === undefined
          ? this.wait(caller, { runId: header.runId, timeoutMs }, signal)
          : this.#untilEnd(caller, channel, header, timeoutMs, signal);
      return { run: await ended, existing };
    } finally {
      channel?.close();
    }
  }

  /** @param known the run as it was since the channel is open */
  async #untilEnd(
    caller: Caller,
    channel: Channel<unknown, RunView>,
    known: RunHeader,
    timeoutMs: number,
    signal: AbortSignal,
  ): Promise<RunView> {
    const { clock, store } = this.#parts;
    const deadline = clock.now() + Math.min(timeoutMs, BOUNDS.waitRunMs);
    let header = known;
    while (!isTerminal(header.status)) {
      const left = deadline - clock.now();
      if (left > 0 && !signal.aborted) await channel.end(left, signal);
      // Nothing is read where the end was committed here.
      if (channel.outcome !== undefined) return channel.outcome;
      header = await readHeader(store, caller, header.runId);
      if (left <= 0 || signal.aborted) break;
    }
    return await this.#view(caller, header, { withInput: false });
  }

  async list(caller: Caller, list: ListRuns): Promise<{ runs: RunView[]; nextPageToken: string }> {
    const page = await this.#parts.store.listRuns(caller, {
      statuses: list.statuses,
      ...(list.workflow === "" ? {} : { workflow: list.workflow }),
      tags: list.tags,
      ...(list.parentRunId === "" ? {} : { parentRunId: list.parentRunId }),
      limit: list.pageSize,
      ...(list.pageToken === "" ? {} : { after: afterToken(list.pageToken) }),
    });
    const now = this.#parts.clock.now();
    const runs = await Promise.all(
      page.runs.map(async (header) => ({
        header,
        ...explainInList(header, now, await outlookOf(this.#parts, header, { isDeep: false })),
        ...(await openBeside(this.#parts.store, header)),
      })),
    );
    const last = page.runs.at(-1);
    return {
      runs,
      nextPageToken:
        page.more && last !== undefined ? formatPageToken([last.createdAt, last.runId]) : "",
    };
  }

  async journal(
    caller: Caller,
    { runId, afterSeq, entriesMax }: GetJournal,
  ): Promise<{ entries: Entry[]; more: boolean }> {
    const limit = {
      entries: Math.min(entriesMax, BOUNDS.journalPageEntries),
      bytes: BOUNDS.journalPageBytes,
    };
    const page = await this.#parts.store.readJournal(caller, runId, afterSeq, limit);
    if (page.entries.length === 0) await readHeader(this.#parts.store, caller, runId);
    return {
      entries: await withPayloads(this.#parts.store, caller, runId, page.entries),
      more: page.more,
    };
  }

  cancel(caller: Caller, { runId, ...how }: CancelRun): Promise<RunView> {
    return this.#steer(caller, runId, (draft) => lifecycle.cancelRun(draft, how));
  }

  pause(caller: Caller, runId: string, reason: string): Promise<RunView> {
    return this.#steer(caller, runId, (draft) => lifecycle.pauseRun(draft, reason));
  }

  resume(caller: Caller, runId: string): Promise<RunView> {
    return this.#steer(caller, runId, lifecycle.resumeRun);
  }

  /**
   * Where a run failed through children, they continue from their own failed steps first, so that it takes
   * what becomes of them. A child that has been repaired since is taken as it is.
   */
  async retry(caller: Caller, runId: string): Promise<RunView> {
    await this.#retryChildren(caller, runId, 1);
    return this.#steer(caller, runId, lifecycle.retryRun);
  }

  async #retryChildren({ org }: Tenant, runId: string, generation: number): Promise<void> {
    const [loaded] = await this.#parts.store.loadRuns([{ org, runId, afterSeq: 0 }]);
    if (loaded === undefined || generation > GENERATIONS_MAX) return;
    for (const childId of failedChildren(stateOf(loaded.header, loaded.entries))) {
      await this.#retryChildren({ org }, childId, generation + 1);
      try {
        await this.#parts.writer.submit({
          org,
          runId: childId,
          bytes: 500,
          decide: lifecycle.retryChild,
        });
      } catch (error) {
        // It was deleted, and everyone who waits for it is told so.
        if (!(error instanceof PawlError && error.reason === "NOT_FOUND")) throw error;
      }
    }
  }

  updateTags(caller: Caller, { runId, set, remove }: UpdateTags): Promise<RunView> {
    return this.#steer(caller, runId, (draft) => lifecycle.updateTags(draft, set, remove));
  }

  async delete(caller: Caller, runId: string): Promise<void> {
    await this.#parts.writer.submit({
      org: caller.org,
      runId,
      bytes: 100,
      decide: lifecycle.deleteRun,
    });
  }

  /** Runs one decision on a run and answers with the run as it is then. */
  async #steer(caller: Caller, runId: string, decide: (draft: Draft) => void): Promise<RunView> {
    const header = await this.#parts.writer.submit({
      org: caller.org,
      runId,
      bytes: 500,
      decide: (draft) => {
        decide(draft);
        return draft.header;
      },
    });
    return this.#view(caller, { ...header }, { withInput: false });
  }
}

/** The same key names the same run, for ever and at every replica. */
function idFor(caller: Caller, start: StartRun, now: number): string {
  if (start.idempotencyKey === "") return uuidv7(now);
  return `key-${digest(caller.org, start.idempotencyKey).slice(0, 40)}`;
}

function inputDigest(input: Payload): string {
  return input.ref === undefined
    ? digest(input.encoding, digest(input.data))
    : digest(input.encoding, input.ref.sha256, String(input.ref.size));
}

function afterToken(token: string): { createdAt: number; runId: string } {
  const [createdAt, runId] = parsePageToken(token, ["number", "string"]);
  return { createdAt, runId };
}

/** How many generations are looked at. */
const GENERATIONS_MAX = 32;

/** The children through which a run has failed. */
function failedChildren({ header, steps, failedKeys }: RunMemory): string[] {
  if (header.status !== "FAILED") return [];
  return failedKeys.flatMap((key) => {
    const step = steps.get(key);
    return step?.outcome === "failed" && step.childRunId !== "" ? [step.childRunId] : [];
  });
}
