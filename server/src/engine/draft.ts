import { BOUNDS } from "../model/bounds.ts";
import type { Entry, EntryMeta, EntryType } from "../model/entry.ts";
import type { Payload } from "../model/payload.ts";
import type { Lease, RunHeader } from "../model/run.ts";
import { isTerminal, laneOf } from "../model/run.ts";
import type { AdmissionWrite } from "../store/admission.ts";
import { NO_CHANGES } from "../store/changes.ts";
import type { NewChunk } from "../store/deltas.ts";
import { type HeaderPatch, patchOf } from "../store/run-columns.ts";
import type { ReadyRow, RunWrite } from "../store/runs.ts";
import type { RunVersion } from "../store/version.ts";
import { flowWriteOf, holdOf } from "./admission/admission.ts";
import { fold, type RunMemory } from "./journal/run-memory.ts";
import { ListedWaits } from "./waits/wait-rows.ts";
import type { ChangeSet, ChangesSoFar } from "./write/change-set.ts";
import { DueChanges } from "./write/due-changes.ts";
import { PayloadChanges } from "./write/payload-changes.ts";

/** When and by what chance a decision is made; fixed for a whole batch. */
export interface Moment {
  readonly now: number;
  /** In [0, 1). */
  readonly random: number;
}

/**
 * What one batch changes about one run. Decisions read `state` and append here; each change is
 * folded into the state at once, so that the next command of the batch sees it. Nothing is
 * durable until the writer commits `toWrite()`; when that is refused, state and draft are dropped.
 *
 * A decision checks everything before its first change, so that a refusal leaves no trace.
 */
export class Draft {
  readonly state: RunMemory;
  readonly now: number;
  readonly random: number;
  readonly entries: Entry[] = [];
  /** The connection that held the run before this draft. */
  readonly heldBy: string | undefined;
  readonly #expect: RunVersion | null;
  readonly #wasQueued: boolean;
  #patched = false;
  #deleted = false;
  #ready: ReadyRow | "remove" | undefined;
  /** Whether a free slot may have it at once, as it becomes ready. */
  #isForSlots = false;
  /** Where it would be ready, had it not been given to a worker. */
  #vacancy: ReadyRow | undefined;
  #hold: AdmissionWrite["hold"];
  #lease: Lease | "remove" | undefined;
  #due: DueChanges | undefined;
  #waits: ListedWaits | undefined;
  #payloads: PayloadChanges | undefined;
  /** Those that were used. */
  #sets: ChangeSet[] | undefined;
  #replied: Set<number> | undefined;
  /** Who gets a lapsed lease back with the first change that it makes. */
  #heir: Lease | undefined;
  #tookBack = false;

  /** `isNew`: the run does not exist yet, and this draft creates it. */
  constructor(state: RunMemory, moment: Moment, isNew: boolean) {
    this.state = state;
    this.now = moment.now;
    this.random = moment.random;
    this.heldBy = state.header.lease?.connectionId;
    const { fence, seq, intent } = state.header;
    this.#expect = isNew ? null : { fence, seq, intent };
    this.#wasQueued = !isNew && state.header.status === "QUEUED";
  }

  get header(): RunHeader {
    return this.state.header;
  }

  get changed(): boolean {
    return (
      this.#expect === null ||
      this.entries.length > 0 ||
      this.#patched ||
      this.#sets !== undefined ||
      this.#ready !== undefined ||
      this.#lease !== undefined ||
      this.#deleted
    );
  }

  get isNew(): boolean {
    return this.#expect === null;
  }

  get isDeleted(): boolean {
    return this.#deleted;
  }

  get readied(): ReadyRow | undefined {
    return this.#ready === "remove" ? undefined : this.#ready;
  }

  /**
   * Whether a worker may be given the run in the commit that makes it ready. What a worker gave back or lost,
   * what is delayed and what has limits is claimed from the queue.
   */
  get isForSlots(): boolean {
    const isReady = this.readied !== undefined && this.header.status === "QUEUED";
    return this.#isForSlots && isReady && this.heldBy === undefined;
  }

  get leaseChanged(): boolean {
    return this.#lease !== undefined;
  }

  /** The earliest due time that this draft adds. */
  get earliestDue(): number {
    return this.#due?.earliest ?? Number.POSITIVE_INFINITY;
  }

  /** What happens later. */
  get due(): DueChanges {
    this.#due ??= this.#use(new DueChanges());
    return this.#due;
  }

  /** The rows of waits that are to be brought in line with the waits. */
  get waits(): ListedWaits {
    this.#waits ??= this.#use(new ListedWaits(this.state));
    return this.#waits;
  }

  get #largePayloads(): PayloadChanges {
    this.#payloads ??= this.#use(new PayloadChanges());
    return this.#payloads;
  }

  #use<S extends ChangeSet>(set: S): S {
    this.#sets ??= [];
    this.#sets.push(set);
    return set;
  }

  /** Adds the next journal entry. */
  append(
    type: EntryType,
    key: string,
    attempt: number,
    meta: EntryMeta,
    payload?: Payload,
    inlineMax: number = BOUNDS.inlinePayloadBytes,
  ): Entry {
    this.takeBack();
    const header = this.state.header;
    header.seq += 1;
    header.updatedAt = this.now;
    const isInline = payload?.data !== undefined && payload.data.byteLength <= inlineMax;
    const isLarge = payload !== undefined && !isInline;
    const stored = isLarge ? this.#largePayloads.keep(payload) : payload;
    const entry: Entry = {
      seq: header.seq,
      at: this.now,
      type,
      key,
      attempt,
      meta,
      payload: stored,
    };
    fold(this.state, entry);
    this.entries.push(entry);
    return entry;
  }

  /** The reply to the command that is being decided tells the holder of this entry of the draft. */
  noteReplied(seq: number): void {
    this.#replied ??= new Set();
    this.#replied.add(seq);
  }

  isReplied(seq: number): boolean {
    return this.#replied?.has(seq) ?? false;
  }

  patch(patch: Partial<HeaderPatch>): void {
    this.takeBack();
    this.#patched = true;
    Object.assign(this.state.header, patch);
    this.state.header.updatedAt = this.now;
  }

  /** Makes every lease given out so far invalid. */
  raiseFence(): void {
    this.patch({ fence: this.state.header.fence + 1 });
  }

  /**
   * Into the ready queue, to be claimed from `readyAt` order on; or before the gate of its limits.
   *
   * @param isAdmitted whether it has passed its gates already, or is not to be held back by them
   */
  makeReady(readyAt: number, isAdmitted = false): void {
    const header = this.state.header;
    const { queue } = header;
    const ready = { queue, lane: laneOf(header), rank: 9 - header.priority, readyAt };
    this.#hold = isAdmitted ? undefined : holdOf(header, ready);
    if (this.#hold === undefined) {
      this.#ready = ready;
      const isDelayed = header.startAt !== 0 && header.startedAt === 0;
      this.#isForSlots = !isAdmitted && !isDelayed && !this.#wasQueued;
      return;
    }
    const isRate = header.options.rate !== undefined && header.startedAt === 0;
    this.patch({ reason: isRate ? "RATE_LIMIT" : "CONCURRENCY_LIMIT" });
  }

  removeReady(): void {
    this.#hold = undefined;
    this.#ready = "remove";
  }

  /** To a worker that has room for what this draft makes ready; not written if another run goes before it. */
  giveToSlot(lease: Lease): void {
    this.#vacancy = this.readied;
    this.#ready = undefined;
    this.give(lease);
  }

  /** Gives the run to who executes it from now on. */
  give(lease: Lease): void {
    const { attempt, fence, startedAt, options } = this.header;
    this.patch({
      status: "RUNNING",
      attempt: attempt + 1,
      fence: fence + 1,
      startedAt: startedAt === 0 ? this.now : startedAt,
    });
    if (options.queueTimeoutMs !== undefined) this.due.remove("queue", "");
    this.giveLease(lease);
  }

  giveLease(lease: Lease): void {
    this.#lease = lease;
    this.state.header.lease = lease;
  }

  /**
   * The command that is decided next comes from who held the run last, and nobody was given it
   * since: if it is not refused, it takes the lease back. Undefined: it does not.
   */
  offerLease(lease: Lease | undefined): void {
    this.#heir = lease;
  }

  /** Whether a lease that has lapsed is offered to the sender of the command. */
  get mayTakeBack(): boolean {
    return this.#heir !== undefined;
  }

  /** Gives the lease back where it was offered; done by the first change at the latest. */
  takeBack(): void {
    const lease = this.#heir;
    if (lease === undefined) return;
    this.#heir = undefined;
    this.#tookBack = true;
    const { status, crashes } = this.state.header;
    this.removeReady();
    // Its worker was not dead, as it turns out.
    this.patch({
      status: status === "CANCELLING" ? status : "RUNNING",
      crashes: Math.max(0, crashes - 1),
    });
    this.giveLease(lease);
  }

  /** Whether a lapsed lease was taken back. */
  get tookBack(): boolean {
    return this.#tookBack;
  }

  dropLease(): void {
    if (this.state.header.lease === null) return;
    this.#lease = "remove";
    this.state.header.lease = null;
  }

  deleteRun(): void {
    this.#deleted = true;
  }

  /** The fence that the run must have for this draft to be written. */
  get expectedFence(): number {
    return this.#expect?.fence ?? 0;
  }

  /**
   * `nudge`: the replica whose connection holds the run, when it is another one. `deltas`: what the
   * run sent before this.
   */
  toWrite(nudge: string | undefined, deltas?: readonly NewChunk[]): RunWrite {
    const header = this.state.header;
    if (this.#deleted && this.#expect !== null) return deletionOf(header, this.#expect);
    return {
      org: header.org,
      runId: header.runId,
      expect: this.#expect,
      seq: header.seq,
      updatedAt: header.updatedAt,
      ...(this.#expect === null ? { insert: { ...header } } : {}),
      ...(this.#expect !== null && this.#patched ? { patch: patchOf(header) } : {}),
      entries: this.entries,
      changes: this.#changes(nudge, deltas),
    };
  }

  #changes(
    nudge: string | undefined,
    deltas: readonly NewChunk[] | undefined,
  ): RunWrite["changes"] {
    const changes: ChangesSoFar = {};
    const admission = this.#flow;
    if (this.#ready !== undefined) changes.ready = this.#ready;
    if (this.#vacancy !== undefined) changes.vacancy = this.#vacancy;
    if (this.#lease !== undefined) changes.lease = this.#lease;
    if (admission !== undefined) changes.admission = admission;
    if (deltas !== undefined) changes.deltas = deltas;
    if (nudge !== undefined) changes.nudge = nudge;
    for (const set of this.#sets ?? []) set.writeTo(changes);
    return changes;
  }

  get #flow(): AdmissionWrite | undefined {
    return flowWriteOf(this.state.header, this.#hold, this.#patched);
  }

  /** Whether it may let held runs pass, itself or others. */
  get changesGates(): boolean {
    return this.#flow !== undefined;
  }

  get ended(): boolean {
    return isTerminal(this.state.header.status);
  }
}

/** Whatever else was decided about the run goes with it. */
function deletionOf(header: RunHeader, expect: RunVersion): RunWrite {
  return {
    org: header.org,
    runId: header.runId,
    expect,
    seq: expect.seq,
    updatedAt: header.updatedAt,
    entries: [],
    changes: NO_CHANGES,
    deleteRun: true,
  };
}
