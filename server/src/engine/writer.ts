/**
 * The write path: commands on runs and claims of ready runs go load → decide → commit as one
 * batch, then their answers go out.
 *
 * 1. A command is answered only after the commit that holds its changes.
 * 2. A run's changes are committed only if its fence and seq are those that were decided upon;
 *    otherwise the run is read again and its commands are decided anew.
 * 3. After a commit that failed, nothing is known: every run of the batch is read again. Commands
 *    are idempotent, so one that had been applied finds itself recorded.
 * 4. Two batches may be under way at once, never with the same run in both. The commands of a run are
 *    decided in the order in which they came, also those that are decided anew.
 * 5. A command that the store refuses for what it holds, or that cannot be decided, fails alone: its
 *    batch is taken apart, and all others of it are committed.
 * 6. What is cached are the runs that workers hold; everything else is read when needed.
 */
import { Awake } from "../lib/awake.ts";
import { type Batcher, createBatcher } from "../lib/batcher.ts";
import { type Clock, monotonicMs, sleep } from "../lib/clock.ts";
import { BOUNDS } from "../model/bounds.ts";
import type { Entry } from "../model/entry.ts";
import { notFound, PawlError, storeUnavailable } from "../model/errors.ts";
import { parseConnectionId, runKey } from "../model/ids.ts";
import type { Lease, RunHeader } from "../model/run.ts";
import type {
  Batch,
  BatchResult,
  ClaimedRun,
  ClaimRequest,
  LoadedRun,
  ReadyRow,
  RunWrite,
} from "../store/runs.ts";
import type { Store } from "../store/store.ts";
import { StoreError } from "../store/store-error.ts";
import { type Metrics, secondsSince } from "../telemetry/metrics.ts";
import type { Tracing } from "../telemetry/tracing.ts";
import { Draft, type Moment } from "./draft.ts";
import type { Intake } from "./events/intake.ts";
import { type RunMemory, stateOf } from "./journal/run-memory.ts";
import { noteClaimed } from "./observability/engine-metrics.ts";
import { traceClaimed } from "./observability/engine-traces.ts";
import { RunCache } from "./run-cache.ts";
import { toPawlError } from "./store-errors.ts";
import { RecordBatch, type RecordCommand, recordItem } from "./write/record-batch.ts";
import {
  claimItem,
  commandItem,
  failCorrupted,
  type Group,
  groupByRun,
  type Item,
  isPoison,
  NO_ITEMS,
  type RunCommand,
  readiedFirst,
} from "./write-batch.ts";

/** A run that a commit changed. */
export interface CommittedRun {
  readonly key: string;
  readonly state: RunMemory;
  readonly draft: Draft;
}

/** Free slots of connected workers. */
export interface FreeSlots {
  /** Reserves one for a run that becomes ready, if nothing is known to go before it. */
  reserve(org: string, ready: ReadyRow): Lease | undefined;
  /** Frees one whose run was not given to it: another run went before it, or nobody knows. */
  free(lease: Lease): void;
}

export interface WriterOptions {
  readonly store: Store;
  readonly clock: Clock;
  /** Names this server; leads the ids of its connections. */
  readonly replicaId: string;
  readonly metrics: Metrics;
  readonly tracing: Tracing | undefined;
  /** Called after each commit, before its commands are answered. Must not throw. */
  readonly onCommitted: (runs: readonly CommittedRun[]) => void;
  /**
   * A worker wrote under a fence that is the run's no more. Called before it is answered, for what
   * raised the fence may have been another server's, of which it was not told. Must not throw.
   */
  readonly onOutdated: (key: string, header: RunHeader) => void;
  /** Deltas that come before what is written, and what became of them. */
  readonly deltas: Pick<Intake, "take" | "settle">;
  readonly slots: FreeSlots;
  /**
   * A run was given to a slot in the commit that made it ready. Called before the commit's commands are
   * answered. `entries`: its whole journal, if that is its start alone. Must not throw.
   */
  readonly onGiven: (header: RunHeader, entries: Entry[] | undefined) => void;
  readonly onStoreError: (error: unknown) => void;
  /** A single command could not be written, for what it holds or by a fault of ours. */
  readonly onRefused: (error: unknown) => void;
  /** The store works again. What failed may have been committed, and nobody was told of it. */
  readonly onRecovered: () => void;
}

/** A command that a sick store cannot take is refused after this long. */
const STORE_PATIENCE_MS = 3_000;
/** The batches of one or two runs that go step after step; larger ones overlap. */
const LONE_ITEMS = 2;
const NOTHING_WRITTEN: BatchResult = { confirmed: [], recorded: [], claimed: [] };
const STORE_RETRY_MS = [0, 20, 50, 100, 250, 500];

export class Writer {
  readonly #options: WriterOptions;
  readonly #batcher: Batcher<Item>;
  readonly #cache = new RunCache();
  readonly #awake = new Awake();
  #failures = 0;

  constructor(options: WriterOptions) {
    this.#options = options;
    this.#batcher = createBatcher<Item>({
      run: (items) => this.#run(items, true),
      // A claim takes runs that nobody holds, and the store sees to it that it does.
      key: (item) => (item.claim === undefined ? item.key : undefined),
      itemsMax: BOUNDS.batchCommands,
      weightMax: BOUNDS.batchBytes,
      weight: (item) => item.bytes,
      queuedMax: BOUNDS.queuedCommands,
    });
  }

  /** The state of a run that a worker holds, if this server has it in memory. */
  cached(key: string): RunMemory | undefined {
    return this.#cache.get(key);
  }

  /** A lease that was renewed in the store, for those in memory. */
  renewed(key: string, fence: number, lease: Lease): void {
    const header = this.#cache.get(key)?.header;
    if (header?.fence === fence && header.lease?.connectionId === lease.connectionId)
      header.lease = lease;
  }

  /** Forgets a run that another replica changed. */
  evict(key: string): void {
    this.#cache.delete(key);
  }

  /** Rejects with the refusal, with NOT_FOUND, RATE_LIMITED or STORE_UNAVAILABLE. */
  submit<R>(command: RunCommand<R>): Promise<R> {
    return new Promise<R>((resolve, reject) => {
      this.#push(commandItem(command, this.#options.clock.now(), resolve, reject));
    });
  }

  /** Does what `submit` does, for a record instead of a run. */
  record<T, R>(command: RecordCommand<T, R>): Promise<R> {
    return new Promise<R>((resolve, reject) => {
      this.#push(recordItem(command, this.#options.clock.now(), resolve, reject));
    });
  }

  /** Claims ready runs in the same commit as whatever else is written. */
  claim(request: ClaimRequest): Promise<ClaimedRun[]> {
    return new Promise<ClaimedRun[]>((resolve, reject) => {
      this.#push(claimItem(request, this.#options.clock.now(), resolve, reject));
    });
  }

  drain(): Promise<void> {
    return this.#batcher.drain();
  }

  get queued(): number {
    return this.#batcher.queued;
  }

  #push(item: Item): void {
    if (this.#batcher.push(item)) return;
    item.fail(
      new PawlError(
        "RATE_LIMITED",
        `${BOUNDS.queuedCommands} writes are waiting already. Send the same again in a moment.`,
        {
          retryAfterMs: 200,
        },
      ),
    );
  }

  /**
   * @param rides whether deltas that are pending are committed along
   * @returns what is to be decided anew, in the order in which it came
   */
  async #run(items: Item[], rides: boolean): Promise<Item[]> {
    if (items.length <= LONE_ITEMS) this.#awake.work();
    const moment: Moment = { now: this.#options.clock.now(), random: this.#options.clock.random() };
    const claims: Item[] = [];
    const groups = groupByRun(items, claims);
    const records = new RecordBatch(items);
    let result: BatchResult;
    const changed: Group[] = [];
    try {
      await this.#load(groups, moment);
      for (const group of groups.values()) {
        this.#decide(group);
        if (group.draft?.changed === true) changed.push(group);
      }
      if (rides) this.#giveOut(changed);
      const writes = changed.flatMap((group) => this.#writeOf(group, rides));
      const batch = { now: moment.now, writes, records: await records.decide(this.#options.store) };
      result = await this.#commit(batch, claims);
      this.#options.metrics.commitSize.observe(items.length);
    } catch (error) {
      for (const group of changed) this.#undo(group);
      return isPoison(error)
        ? await this.#takeApart(items, error, rides)
        : await this.#storeFailed(items, error);
    }
    const again = this.#settle(groups, changed, claims, result);
    again.push(...records.settle(result.recorded));
    if (this.#failures > 0) {
      this.#failures = 0;
      this.#options.onRecovered();
    }
    return again;
  }

  /**
   * Gives runs that become ready to workers that have room, in the same commit: best first, and none of a
   * lane in which one that goes before it stays in the queue. What was tried before is claimed from there.
   */
  #giveOut(changed: readonly Group[]): void {
    const passedOver = new Set<string>();
    for (const { group, draft, ready } of readiedFirst(changed)) {
      const { org } = draft.header;
      const lane = JSON.stringify([org, ready.queue, ready.lane]);
      const mayGive = draft.isForSlots && group.items.every(({ tries }) => tries === 0);
      if (mayGive && !passedOver.has(lane)) group.given = this.#options.slots.reserve(org, ready);
      if (group.given === undefined) passedOver.add(lane);
      else draft.giveToSlot(group.given);
    }
  }

  #writeOf(group: Group, rides: boolean): RunWrite[] {
    const { draft } = group;
    if (draft === undefined) return [];
    if (rides && draft.entries.length > 0 && !draft.isNew)
      group.deltas = this.#options.deltas.take(group.key, draft.expectedFence);
    return [draft.toWrite(this.#remoteHolder(draft), group.deltas)];
  }

  /** What was prepared for a run that has not been written. */
  #undo(group: Group): void {
    this.#settleDeltas(group, false);
    if (group.given !== undefined) this.#options.slots.free(group.given);
    group.given = undefined;
  }

  /** Reads the runs that are not in memory. A run that a command may create is tried without. */
  async #load(groups: Map<string, Group>, moment: Moment): Promise<void> {
    const missing: Group[] = [];
    for (const group of groups.values()) {
      const first = group.items[0];
      if (first === undefined) continue;
      const state = first.mustBeFresh ? undefined : this.#cache.get(group.key);
      if (state !== undefined) group.draft = new Draft(state, moment, false);
      else if (first.create !== undefined && first.tries === 0) group.draft = first.create(moment);
      else missing.push(group);
    }
    if (missing.length === 0) return;
    const refs = missing.map((group) => ({
      org: group.items[0]?.org ?? "",
      runId: group.items[0]?.runId ?? "",
      afterSeq: 0,
    }));
    const loaded = await this.#options.store.loadRuns(refs);
    for (const [index, group] of missing.entries()) {
      group.fresh = true;
      group.draft = this.#draftOf(loaded[index], group, moment);
    }
  }

  #draftOf(loaded: LoadedRun | undefined, group: Group, moment: Moment): Draft | undefined {
    if (loaded !== undefined)
      return new Draft(stateOf(loaded.header, loaded.entries), moment, false);
    const creator = group.items.findIndex((item) => item.create !== undefined);
    if (creator < 0) return undefined;
    // Commands that ran ahead of the one that makes the run.
    group.tooEarly = group.items.splice(0, creator);
    return group.items[0]?.create?.(moment);
  }

  #decide(group: Group): void {
    const { draft, items } = group;
    if (draft === undefined) return;
    for (const [index, item] of items.entries()) {
      if (draft.isDeleted) {
        // Nothing continues from here: the rest finds no run, or makes a new one.
        group.tooLate = items.splice(index);
        return;
      }
      // The first command of a new run made the draft; its answer is there.
      if (index > 0 || !draft.isNew) item.apply(draft);
    }
  }

  async #commit(batch: Required<Omit<Batch, "claims">>, claims: Item[]): Promise<BatchResult> {
    if (batch.writes.length + batch.records.length + claims.length === 0) return NOTHING_WRITTEN;
    const requests = claims.flatMap((item) => (item.claim === undefined ? [] : [item.claim]));
    const { store, metrics } = this.#options;
    const start = monotonicMs();
    const result = await store.commit({ ...batch, claims: requests });
    // The embedded store's thread looks out for the next step itself (store/sqlite/thread.ts), and
    // two that look would leave no core for the worker.
    if (!store.replicas) this.#awake.rest();
    metrics.commitSeconds.observe(secondsSince(start));
    return result;
  }

  /** @returns what is to be decided anew */
  #settle(
    groups: Map<string, Group>,
    changed: Group[],
    claims: Item[],
    result: BatchResult,
  ): Item[] {
    const committed: CommittedRun[] = [];
    const again: Item[] = [];
    for (const [index, group] of changed.entries()) {
      const { draft } = group;
      if (draft === undefined) continue;
      if (result.confirmed[index] === true) {
        this.#settleDeltas(group, true);
        committed.push({ key: group.key, state: draft.state, draft });
        this.#remember(group.key, draft);
      } else {
        this.#undo(group);
        groups.delete(group.key);
        again.push(...this.#again(group));
      }
    }
    for (const [index, item] of claims.entries()) {
      for (const run of result.claimed[index] ?? []) {
        this.#noteClaimed(run);
        this.#rememberClaimed(run);
      }
      item.done(result.claimed[index] ?? []);
    }
    this.#options.onCommitted(committed);
    for (const { given, draft } of groups.values()) {
      if (given === undefined || draft === undefined) continue;
      const isOnlyStart = draft.isNew && draft.entries.length === 1;
      this.#options.onGiven({ ...draft.header }, isOnlyStart ? draft.entries : undefined);
    }
    for (const group of groups.values()) again.push(...this.#answer(group));
    return again;
  }

  #settleDeltas(group: Group, onRecord: boolean): void {
    if (group.deltas === undefined) return;
    this.#options.deltas.settle(group.key, group.deltas, onRecord);
    group.deltas = undefined;
  }

  /** @returns what is to be decided anew */
  #answer(group: Group): readonly Item[] {
    const { draft } = group;
    if (draft === undefined) {
      for (const item of group.items) item.fail(notFound("run", item.runId));
      return NO_ITEMS;
    }
    // Where others write too, what was decided without writing may rest on an old state.
    const doubtful = this.#options.store.replicas && !group.fresh && !draft.changed;
    if (doubtful) return this.#again(group);
    if (!draft.changed) this.#remember(group.key, draft);
    for (const item of group.items) {
      if (item.fence !== undefined && item.fence < draft.header.fence)
        this.#options.onOutdated(group.key, draft.header);
      item.done(undefined);
    }
    for (const item of group.tooEarly) item.fail(notFound("run", item.runId));
    return group.tooLate;
  }

  /** The run is not what it was taken for: read it and decide anew. */
  #again({ key, tooEarly, items, tooLate }: Group): Item[] {
    this.#cache.delete(key);
    const again: Item[] = [];
    for (const item of [...tooEarly, ...items, ...tooLate]) {
      item.tries += 1;
      item.mustBeFresh = true;
      if (item.tries <= BOUNDS.decideAttempts) again.push(item);
      else
        item.fail(
          storeUnavailable(
            new Error(`run ${item.runId} kept changing under ${item.tries} decisions`),
          ),
        );
    }
    return again;
  }

  /**
   * Halves the batch until what cannot be written is alone. Deltas that came before it are tried
   * without: they are written by themselves then, and their writer knows what to do.
   */
  async #takeApart(items: Item[], error: unknown, rides: boolean): Promise<Item[]> {
    for (const item of items) {
      this.#cache.delete(item.key);
      item.tries = Math.max(1, item.tries);
      item.mustBeFresh = true;
    }
    if (items.length === 1 && !rides) {
      const [culprit] = items;
      this.#options.onRefused(error);
      culprit?.fail(toPawlError(error, "write"));
      return [];
    }
    const half = items.length >> 1;
    const again = half > 0 ? await this.#run(items.slice(0, half), false) : [];
    const waiting = new Set(again.map(({ key }) => key));
    const next: Item[] = [];
    for (const item of items.slice(half)) (waiting.has(item.key) ? again : next).push(item);
    return next.length === 0 ? again : [...again, ...(await this.#run(next, false))];
  }

  async #storeFailed(batch: Item[], error: unknown): Promise<Item[]> {
    const items = failCorrupted(batch, error);
    const isDamaged = error instanceof StoreError && error.fault === "damaged";
    if (items.length === batch.length) {
      this.#options.onStoreError(error);
      const delay = STORE_RETRY_MS[Math.min(this.#failures, STORE_RETRY_MS.length - 1)] ?? 0;
      this.#failures += 1;
      await sleep(delay);
    }
    const now = this.#options.clock.now();
    const again: Item[] = [];
    for (const item of items) {
      this.#cache.delete(item.key);
      item.tries += 1;
      item.mustBeFresh = true;
      // Only a repair helps, so nobody is to send it again.
      if (isDamaged || now - item.since > STORE_PATIENCE_MS) item.fail(toPawlError(error, "write"));
      else again.push(item);
    }
    return again;
  }

  #remember(key: string, draft: Draft): void {
    if (draft.header.lease === null || draft.isDeleted) this.#cache.delete(key);
    else this.#cache.set(key, draft.state);
  }

  #noteClaimed(run: ClaimedRun): void {
    const { metrics, tracing } = this.#options;
    noteClaimed(metrics, run);
    if (tracing !== undefined) traceClaimed(tracing, run);
  }

  #rememberClaimed(run: ClaimedRun): void {
    const key = runKey(run.header.org, run.header.runId);
    const whole = run.entries.length === run.header.seq;
    if (whole) this.#cache.set(key, stateOf(run.header, run.entries));
    else this.#cache.delete(key);
  }

  /** The replica to tell, when a connection of another one holds the run. */
  #remoteHolder(draft: Draft): string | undefined {
    if (!this.#options.store.replicas) return undefined;
    const connectionId = draft.heldBy;
    if (connectionId === undefined) return undefined;
    // Pollers and claimers hold their runs at no replica; they ask by themselves.
    const id = parseConnectionId(connectionId);
    if (id.kind !== "attached" || id.replica === "") return undefined;
    return id.replica === this.#options.replicaId ? undefined : id.replica;
  }
}
