/**
 * The store of the simulated world: the real SQLite store, in memory, behind a facade that delays,
 * reorders and fails. What it has committed is also written down here, so that the world can be
 * held against it.
 */
import type { Entry } from "../../server/src/model/entry.ts";
import type { RunHeader } from "../../server/src/model/run.ts";
import type { PutDeltas, Written } from "../../server/src/store/deltas.ts";
import type { DuePage } from "../../server/src/store/due.ts";
import { openStore } from "../../server/src/store/open.ts";
import type { Batch, BatchResult } from "../../server/src/store/runs.ts";
import type { Store } from "../../server/src/store/store.ts";
import { StoreError } from "../../server/src/store/store-error.ts";
import { ALL_ROWS, Holds } from "./holds.ts";
import { currentProcess, SimProcess, type World } from "./world.ts";

/** What is on record of one life of a run id. */
export interface RunRecord {
  readonly runId: string;
  readonly header: RunHeader;
  readonly entries: Entry[];
  /** When each entry was committed, in ms of the world's time. */
  readonly committedMs: number[];
}

/** The share of wake-ups between servers that is lost. */
export const LOST_WAKES = 0.2;

/** Methods that do no work of their own in the store. */
const PLAIN: ReadonlySet<string> = new Set(["onWake", "close", "kind"]);

interface Pending {
  readonly process: SimProcess | undefined;
  apply(): void;
}

/** One server's connection to the disk. */
interface Mount {
  readonly isShared: boolean;
  readonly process: SimProcess | undefined;
  /** Called when another server says that it wrote something. */
  onWake(what: Written): void;
  lastCommitAt: number;
  lastPutAt: number;
}

export class Disk {
  readonly #world: World;
  readonly #inner: Store;
  /** It continues when a server stands still or dies. */
  readonly #process: SimProcess;
  readonly #pending = new Set<Pending>();
  readonly records = new Map<string, RunRecord>();
  /** Of writes and reads, how many fail before or after they were applied. */
  failing = 0;
  /** How long an operation takes, mostly and rarely. */
  latencyMs: readonly [short: number, long: number] = [1, 20];
  /** While it is away, everything fails. */
  isAway = false;
  /** Of what servers tell one another, how much is lost. */
  deafness = LOST_WAKES;
  readonly #mounts = new Set<Mount>();
  readonly #holds = new Holds();
  /** Chunks of deltas of which a write failed: what was written meanwhile is ahead of them. */
  readonly #failedPuts: PutDeltas[] = [];

  private constructor(world: World, inner: Store) {
    this.#world = world;
    this.#process = new SimProcess(world, "disk");
    this.#inner = inner;
  }

  static async open(world: World): Promise<Disk> {
    return new Disk(world, await openStore(":memory:", { thread: false }));
  }

  get inner(): Store {
    return this.#inner;
  }

  close(): Promise<void> {
    return this.#inner.close();
  }

  /** What was under way when a server died has reached the disk or has not, in order. */
  crash(process: SimProcess): void {
    let isLost = false;
    for (const one of [...this.#pending]) {
      if (one.process !== process) continue;
      isLost ||= this.#world.chance.hits(0.5);
      this.#pending.delete(one);
      if (!isLost) one.apply();
    }
  }

  /** Whether a write of some of these deltas failed. */
  hasFailedToPut(runId: string, fence: number, from: number, to: number): boolean {
    return this.#failedPuts.some(
      (put) =>
        put.runId === runId &&
        put.chunk.fence === fence &&
        put.chunk.first <= to &&
        put.chunk.last >= from,
    );
  }

  /** The store as the current process sees it, which shares it with other servers or has it alone. */
  store(isShared: boolean): Store {
    const mount: Mount = {
      isShared,
      process: currentProcess(),
      onWake: () => undefined,
      lastCommitAt: 0,
      lastPutAt: 0,
    };
    this.#mounts.add(mount);
    const call = (name: string, args: readonly unknown[]) => this.#call(mount, name, args);
    const shared: Partial<Store> = {
      replicas: true,
      wake: (what) => this.#wake(mount, what),
      onWake: (listener) => {
        mount.onWake = listener;
      },
    };
    return new Proxy(this.#inner, {
      get(target, name) {
        const own: unknown = isShared ? Reflect.get(shared, name) : undefined;
        if (own !== undefined) return own;
        const value: unknown = Reflect.get(target, name);
        if (typeof value !== "function" || typeof name !== "string" || PLAIN.has(name))
          return typeof value === "function" ? value.bind(target) : value;
        return (...args: unknown[]) => call(name, args);
      },
    });
  }

  /** Tells the other servers, unless it is lost: that costs them time only. */
  async #wake(from: Mount, what: Written): Promise<void> {
    const { chance } = this.#world;
    for (const mount of this.#mounts) {
      if (mount.process?.state === "dead") this.#mounts.delete(mount);
      else if (mount !== from && !chance.hits(this.deafness))
        this.#world.schedule(chance.latency(20, 2_000), () => mount.onWake(what), mount.process);
    }
  }

  #call(mount: Mount, name: string, args: readonly unknown[]): Promise<unknown> {
    const { chance } = this.#world;
    // Not the process that runs now: a server may be called in the turn of one that dies before the answer.
    const { process } = mount;
    return new Promise((resolve, reject) => {
      const settle = (finish: () => void) =>
        this.#world.schedule(chance.latency(...this.latencyMs), finish, process);
      const pending: Pending = {
        process,
        apply: () => {
          if (!this.#pending.delete(pending) && process?.state !== "dead") return;
          const fails = this.isAway || chance.hits(this.failing);
          if (fails && (this.isAway || chance.hits(0.5))) {
            if (name === "putDeltas" && isPuts(args[0])) this.#failedPuts.push(...args[0]);
            settle(() => reject(new StoreError("The disk failed before it wrote.")));
            return;
          }
          this.#apply(mount, name, args).then(
            (result) =>
              settle(() => {
                if (fails) reject(new StoreError("The disk failed after it wrote."));
                else resolve(result);
              }),
            (error: unknown) => settle(() => reject(error)),
          );
        },
      };
      this.#pending.add(pending);
      // Commits mostly arrive in their order; what else is asked may overtake them. What is put before
      // a commit is there before it.
      let at = this.#world.nowMs + chance.latency(...this.latencyMs);
      if (name === "commit") {
        at = Math.max(at, mount.lastPutAt, chance.hits(0.8) ? mount.lastCommitAt : 0);
        mount.lastCommitAt = Math.max(at, mount.lastCommitAt);
      }
      if (name === "putDeltas") {
        at = Math.max(at, mount.lastPutAt, mount.lastCommitAt);
        mount.lastPutAt = at;
      }
      const apply = () => {
        if (this.#pending.has(pending)) pending.apply();
      };
      this.#world.schedule(at - this.#world.nowMs, apply, this.#process);
    });
  }

  async #apply(mount: Mount, name: string, args: readonly unknown[]): Promise<unknown> {
    if (name === "due" && mount.isShared) return await this.#due(args);
    const method: unknown = Reflect.get(this.#inner, name);
    if (typeof method !== "function") throw new Error(`The store has no ${name}.`);
    const result: unknown = await Reflect.apply(method, this.#inner, args);
    if (name === "commit" && isBatch(args[0]) && isBatchResult(result))
      this.#record(args[0], result);
    return result;
  }

  async #due(args: readonly unknown[]): Promise<DuePage> {
    const [now = 0, limit = 0, holdUntil] = args.map(Number);
    return this.#holds.take(await this.#inner.due(now, ALL_ROWS), now, limit, holdUntil);
  }

  #record(batch: Batch, result: BatchResult): void {
    for (const [index, write] of batch.writes.entries()) {
      if (result.confirmed[index] !== true) continue;
      if (write.deleteRun === true) this.records.delete(write.runId);
      let record = this.records.get(write.runId);
      if (record === undefined && write.insert !== undefined) {
        const { insert: header, runId } = write;
        record = { runId, header: { ...header }, entries: [], committedMs: [] };
        this.records.set(runId, record);
      }
      if (record === undefined) continue;
      Object.assign(record.header, write.patch, { seq: write.seq, updatedAt: write.updatedAt });
      const { lease } = write.changes;
      if (lease !== undefined)
        Object.assign(record.header, { lease: lease === "remove" ? null : lease });
      for (const entry of write.entries) {
        record.entries.push(entry);
        record.committedMs.push(this.#world.nowMs);
      }
    }
    for (const claimed of result.claimed.flat())
      Object.assign(this.records.get(claimed.header.runId)?.header ?? {}, claimed.header);
  }
}

function isPuts(value: unknown): value is readonly PutDeltas[] {
  return Array.isArray(value);
}

function isBatch(value: unknown): value is Batch {
  return typeof value === "object" && value !== null && "writes" in value && "claims" in value;
}

function isBatchResult(value: unknown): value is BatchResult {
  return typeof value === "object" && value !== null && "confirmed" in value && "claimed" in value;
}
