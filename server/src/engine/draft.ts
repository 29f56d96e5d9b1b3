import { sha256 } from "../lib/ids.ts";
import { BOUNDS } from "../model/bounds.ts";
import type { Entry, EntryMeta, EntryType } from "../model/entry.ts";
import type { Payload, PayloadBlob, PayloadRef } from "../model/payload.ts";
import type { Lease, RunHeader } from "../model/run.ts";
import { isTerminal, laneOf } from "../model/run.ts";
import type { AdmissionWrite } from "../store/admission.ts";
import type { NewChunk } from "../store/deltas.ts";
import type { DueItem, DueKind, DueRemoval, DueRow } from "../store/due.ts";
import { type HeaderPatch, patchOf } from "../store/run-columns.ts";
import type { ReadyRow, RunWrite } from "../store/runs.ts";
import type { RunVersion } from "../store/version.ts";
import { flowWriteOf, holdOf } from "./admission/admission.ts";
import { fold, type RunMemory } from "./journal/run-memory.ts";
import { waitChanges } from "./waits/wait-rows.ts";

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
  #patched = false;
  #touched = false;
  #deleted = false;
  #ready: ReadyRow | "remove" | undefined;
  #hold: AdmissionWrite["hold"];
  #lease: Lease | "remove" | undefined;
  #dueClear = false;
  #duePut: Map<string, DueRow> | undefined;
  #dueRemove: Map<string, DueRemoval> | undefined;
  #dueElsewhere: { runId: string; row: DueRow }[] | undefined;
  /** Waits whose rows may change; whether the row is one that this draft makes. */
  #waits: Map<string, { readonly isNew: boolean }> | undefined;
  #payloads: PayloadBlob[] | undefined;
  #payloadRefs: PayloadRef[] | undefined;
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
  }

  get header(): RunHeader {
    return this.state.header;
  }

  get changed(): boolean {
    return this.#expect === null || this.#touched;
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

  get leaseChanged(): boolean {
    return this.#lease !== undefined;
  }

  /** The earliest due time that this draft adds. */
  get earliestDue(): number {
    let earliest = Number.POSITIVE_INFINITY;
    for (const row of this.#duePut?.values() ?? []) earliest = Math.min(earliest, row.at);
    for (const { row } of this.#dueElsewhere ?? []) earliest = Math.min(earliest, row.at);
    return earliest;
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
    this.#touched = true;
    const header = this.state.header;
    header.seq += 1;
    header.updatedAt = this.now;
    const stored = payload === undefined ? undefined : this.#keep(payload, inlineMax);
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
    this.#touched = true;
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
    this.#touched = true;
    const ready = { queue, lane: laneOf(header), rank: 9 - header.priority, readyAt };
    this.#hold = isAdmitted ? undefined : holdOf(header, ready);
    if (this.#hold === undefined) {
      this.#ready = ready;
      return;
    }
    const isRate = header.options.rate !== undefined && header.startedAt === 0;
    this.patch({ reason: isRate ? "RATE_LIMIT" : "CONCURRENCY_LIMIT" });
  }

  removeReady(): void {
    this.#touched = true;
    this.#hold = undefined;
    this.#ready = "remove";
  }

  giveLease(lease: Lease): void {
    this.#touched = true;
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
    const { state, crashes } = this.state.header;
    this.removeReady();
    // Its worker was not dead, as it turns out.
    this.patch({
      state: state === "CANCELLING" ? state : "RUNNING",
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
    this.#touched = true;
    this.#lease = "remove";
    this.state.header.lease = null;
  }

  putDue(kind: DueKind, key: string, at: number, data = ""): void {
    this.#touched = true;
    this.#duePut ??= new Map();
    this.#duePut.set(`${kind}:${key}`, { kind, key, at, data });
    this.#dueRemove?.delete(`${kind}:${key}`);
  }

  removeDue(kind: DueKind, key: string): void {
    this.#duePut?.delete(`${kind}:${key}`);
    this.#forget({ kind, key });
  }

  /** Removes a row that was read; one that was put in its place since then stays. */
  removeFired({ kind, key, at, heldUntil }: DueRow & Pick<DueItem, "heldUntil">): void {
    const put = this.#duePut?.get(`${kind}:${key}`);
    if (put === undefined) this.#forget({ kind, key, upTo: heldUntil ?? at });
  }

  #forget(removal: DueRemoval): void {
    this.#touched = true;
    this.#dueRemove ??= new Map();
    this.#dueRemove.set(`${removal.kind}:${removal.key}`, removal);
  }

  /** The row of this wait is to be brought in line with the wait. */
  listWait(key: string, isNew = false): void {
    this.#touched = true;
    this.#waits ??= new Map();
    if (!this.#waits.has(key)) this.#waits.set(key, { isNew });
  }

  clearDue(): void {
    this.#touched = true;
    this.#dueClear = true;
    this.#duePut?.clear();
    this.#dueRemove?.clear();
  }

  /** Due work for another run of the organization. */
  putDueElsewhere(runId: string, row: DueRow): void {
    this.#touched = true;
    this.#dueElsewhere ??= [];
    this.#dueElsewhere.push({ runId, row });
  }

  deleteRun(): void {
    this.#touched = true;
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
    const flow = this.#flow;
    return {
      org: header.org,
      runId: header.runId,
      expect: this.#expect,
      seq: header.seq,
      updatedAt: header.updatedAt,
      ...(this.#expect === null ? { insert: { ...header } } : {}),
      ...(this.#expect !== null && this.#patched ? { patch: patchOf(header) } : {}),
      entries: this.entries,
      payloads: this.#payloads ?? NONE,
      payloadRefs: this.#payloadRefs ?? NONE,
      ...(this.#ready === undefined ? {} : { ready: this.#ready }),
      duePut: this.#duePut === undefined ? NONE : [...this.#duePut.values()],
      dueRemove: this.#dueRemove === undefined ? NONE : [...this.#dueRemove.values()],
      dueClear: this.#dueClear,
      ...(this.#waits === undefined ? {} : { waits: waitChanges(this.state, this.#waits) }),
      ...(this.#lease === undefined ? {} : { lease: this.#lease }),
      ...(flow === undefined ? {} : { flow }),
      dueElsewhere: this.#dueElsewhere ?? NONE,
      ...(deltas === undefined ? {} : { deltas }),
      ...(nudge === undefined ? {} : { nudge }),
    };
  }

  get #flow(): AdmissionWrite | undefined {
    return flowWriteOf(this.state.header, this.#hold, this.#patched);
  }

  /** Whether it may let held runs pass, itself or others. */
  get changesGates(): boolean {
    return this.#flow !== undefined;
  }

  get ended(): boolean {
    return isTerminal(this.state.header.state);
  }

  /** Moves what is too large for the row into the payload table. */
  #keep(payload: Payload, inlineMax: number): Payload {
    if (payload.ref !== undefined) {
      this.#payloadRefs ??= [];
      this.#payloadRefs.push(payload.ref);
      return payload;
    }
    if (payload.data.byteLength <= inlineMax) return payload;
    const ref = { sha256: sha256(payload.data), size: payload.data.byteLength };
    this.#payloads ??= [];
    this.#payloads.push({ sha256: ref.sha256, data: payload.data });
    this.#payloadRefs ??= [];
    this.#payloadRefs.push(ref);
    return { encoding: payload.encoding, ref };
  }
}

const NONE: readonly never[] = Object.freeze([]);

/** Whatever else was decided about the run goes with it. */
function deletionOf(header: RunHeader, expect: RunVersion): RunWrite {
  return {
    org: header.org,
    runId: header.runId,
    expect,
    seq: expect.seq,
    updatedAt: header.updatedAt,
    entries: NONE,
    payloads: NONE,
    payloadRefs: NONE,
    duePut: NONE,
    dueRemove: NONE,
    dueClear: false,
    dueElsewhere: NONE,
    deleteRun: true,
  };
}
