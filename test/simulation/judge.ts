/** What must always hold in the simulated world, and whether it did. */
import type { ServerFrame, WorkerFrame } from "@pawl/proto";
import { BOUNDS } from "../../server/src/model/bounds.ts";
import type { Entry } from "../../server/src/model/entry.ts";
import { isTerminal } from "../../server/src/model/run.ts";
import type { Disk, RunRecord } from "./disk.ts";
import { type Gap, WatcherView } from "./watcher.ts";
import { NARROW_LIMIT, ONCE, type Program } from "./workload.ts";
import type { SimProcess, World } from "./world.ts";

/** How long after the last trouble news must have reached the holder of a run: twice their loop, and the way. */
const NEWS_MS = 2 * BOUNDS.newsMs + 2_000;
/** How long after the last trouble a worker must have found its way back. */
const RECOVERED_MS = 20_000;
const VIOLATIONS_MAX = 20;

/** What a worker was sent about a run under one fence. */
interface Told {
  readonly fence: number;
  /** The journal up to this entry came with the dispatch. */
  readonly journalLength: number;
  readonly seqs: Set<number>;
  readonly keys: Set<string>;
}

export class Judge {
  readonly violations: string[] = [];
  readonly #world: World;
  readonly #disk: Disk;
  readonly #watchers: WatcherView[] = [];
  /** By worker and run. */
  readonly #told = new Map<SimProcess, Map<string, Told>>();
  /** What a frame asked about, by worker and id. */
  readonly #asked = new Map<SimProcess, Map<number, { runId: string; key: string }>>();
  /** Run and id of each signal that code was given. */
  readonly #taken = new Set<string>();
  /** How often steps were begun that may be begun once, by run and key. */
  readonly #begun = new Map<string, number>();
  #disturbedMs = 0;
  #hasGivenUpOutput = false;

  constructor(world: World, disk: Disk) {
    this.#world = world;
    this.#disk = disk;
  }

  found(violation: string): void {
    if (this.violations.length < VIOLATIONS_MAX)
      this.violations.push(`at ${(this.#world.nowMs / 1_000).toFixed(3)} s: ${violation}`);
  }

  /** Something went wrong, or is over: what takes its time afterwards is not a fault. */
  disturbed(): void {
    this.#disturbedMs = this.#world.nowMs;
  }

  /** A worker without a session dropped live output, after having tried for a while. */
  gaveUpOutput(): void {
    this.#hasGivenUpOutput = true;
  }

  /**
   * Whether deltas may be missing: their worker gave them up, or the store failed to write them while
   * it wrote what came after. A crash of a server is no reason: what it had not acknowledged is sent
   * again.
   */
  isLegitimate(runId: string, { fence, from, to }: Gap): boolean {
    return this.#hasGivenUpOutput || this.#disk.hasFailedToPut(runId, fence, from, to);
  }

  watcher(runId: string): WatcherView {
    const view = new WatcherView(runId, this);
    this.#watchers.push(view);
    return view;
  }

  get watchersDone(): boolean {
    return this.#watchers.every((view) => view.isDone);
  }

  // ── told while it happens ──

  /** Acknowledged means committed. */
  acknowledged(
    runId: string,
    what: string,
    isOnRecord: (record: RunRecord | undefined) => boolean,
  ): void {
    if (!isOnRecord(this.#disk.records.get(runId)))
      this.found(`${runId}: ${what} was acknowledged and is not on record`);
  }

  /** No recorded step starts again. */
  begun(runId: string, key: string, attempt: number): void {
    const record = this.#disk.records.get(runId);
    if (record !== undefined && completions(record, key) > 0)
      this.found(`${runId}: ${key} is recorded and is executed again, as attempt ${attempt}`);
    if (!(key.split("/").at(-1) ?? "").startsWith(ONCE)) return;
    const id = `${runId}\n${key}`;
    const times = (this.#begun.get(id) ?? 0) + 1;
    this.#begun.set(id, times);
    // Who retries a run decides that it did not have its effect.
    const retries = record?.entries.filter(({ type }) => type === "run.retried").length ?? 0;
    if (times > 1 + retries) this.found(`${runId}: ${key} is executed for the ${times}th time`);
  }

  /** Whether an attempt is on record, so that no other has its number. */
  isNumbered(runId: string, stepKey: string, attempt: number): boolean {
    const entries = this.#disk.records.get(runId)?.entries ?? [];
    return entries.some((entry) => entry.key === stepKey && entry.attempt === attempt);
  }

  took(runId: string, signalId: string): void {
    this.#taken.add(`${runId}\n${signalId}`);
  }

  asked(worker: SimProcess, { id, body }: WorkerFrame): void {
    if (id === 0) return;
    if (body.case !== "stepStarted" && body.case !== "stepCompleted") return;
    const frames = this.#asked.get(worker) ?? new Map<number, { runId: string; key: string }>();
    this.#asked.set(worker, frames);
    frames.set(id, { runId: body.value.runId, key: body.value.stepKey });
  }

  heard(worker: SimProcess, { body }: ServerFrame): void {
    if (body.case === "dispatch") {
      const { lease, journalLength = 0 } = body.value.item ?? {};
      if (lease === undefined) return;
      const runs = this.#told.get(worker) ?? new Map<string, Told>();
      this.#told.set(worker, runs);
      const { fence } = lease;
      runs.set(lease.runId, { fence, journalLength, seqs: new Set(), keys: new Set() });
    }
    if (body.case === "waitResolved" && body.value.entry !== undefined)
      this.#told.get(worker)?.get(body.value.runId)?.seqs.add(body.value.entry.seq);
    if (body.case === "reply") this.#replied(worker, body.value.id, body.value.result);
  }

  #replied(
    worker: SimProcess,
    id: number,
    result: (ServerFrame["body"] & { case: "reply" })["value"]["result"],
  ): void {
    const asked = this.#asked.get(worker)?.get(id);
    if (result.case === "suspendRun")
      for (const { seq } of result.value.resolved)
        for (const told of this.#told.get(worker)?.values() ?? []) told.seqs.add(seq);
    if (asked === undefined) return;
    if (result.case === "stepStarted" && result.value.outcome.case === "replay")
      this.#told.get(worker)?.get(asked.runId)?.keys.add(asked.key);
    if (result.case === "stepCompleted")
      this.acknowledged(
        asked.runId,
        `the result of ${asked.key}`,
        (record) => record !== undefined && completions(record, asked.key) > 0,
      );
  }

  // ── looked at from time to time ──

  look(): void {
    const calmMs = this.#world.nowMs - this.#disturbedMs;
    let narrow = 0;
    for (const record of this.#disk.records.values()) {
      if (record.header.workflow === "narrow" && record.header.status === "RUNNING") narrow += 1;
      if (calmMs > RECOVERED_MS) this.#lookForNews(record);
    }
    if (narrow > NARROW_LIMIT)
      this.found(`${narrow} runs of "narrow" are under way at once; ${NARROW_LIMIT} may be`);
  }

  /** Every holder knows every resolution within the time of the news loop. */
  #lookForNews(record: RunRecord): void {
    const { runId, header } = record;
    if (header.status !== "RUNNING") return;
    const told = [...this.#told.values()].flatMap((runs) => runs.get(runId) ?? []);
    const holder = told.find(({ fence }) => fence === header.fence);
    if (holder === undefined) return;
    for (const [index, entry] of record.entries.entries()) {
      if (entry.type !== "workflow.wait.resolved" || entry.meta.outcome === "cancelled") continue;
      const ageMs = this.#world.nowMs - (record.committedMs[index] ?? 0);
      const known =
        entry.seq <= holder.journalLength ||
        holder.seqs.has(entry.seq) ||
        holder.keys.has(entry.key);
      if (!known && ageMs > NEWS_MS)
        this.found(
          `${runId}: its holder was not told in ${Math.round(ageMs)} ms that ${entry.key} is resolved`,
        );
    }
  }

  /** The waits that are open by the journal. */
  openWaits(record: RunRecord): Entry[] {
    const open = new Map<string, Entry>();
    for (const entry of record.entries) {
      if (entry.type === "workflow.wait.created") open.set(entry.key, entry);
      if (CLOSES_A_WAIT.has(entry.type)) open.delete(entry.key);
    }
    return [...open.values()];
  }

  // ── held against one another at the end ──

  async verdict(runs: readonly { runId: string; program: Program }[]): Promise<void> {
    for (const record of this.#disk.records.values()) {
      const { runId, header, entries } = record;
      if (!isTerminal(header.status))
        this.found(
          `${runId} is ${header.status} ${header.reason} for good; its journal ends with ${lastOf(entries)}`,
        );
      this.#checkSignals(record);
      this.#checkUndone(record);
      for (const [index, { seq }] of entries.entries())
        if (seq !== index + 1) this.found(`${runId}: entry ${index + 1} has the number ${seq}`);
    }
    for (const { runId, program } of runs) {
      const record = this.#disk.records.get(runId);
      if (record === undefined) this.found(`${runId} was started and is gone`);
      else this.#checkCompensations(record, program);
    }
    for (const view of this.#watchers) view.check(this.#disk.records.get(view.runId));
    await this.#checkLeftovers();
  }

  /** A signal is consumed once, unless it was given back in between, and by code that was given it. */
  #checkSignals({ runId, header, entries }: RunRecord): void {
    const takenBy = new Map<string, string>();
    for (const { key, meta, ...entry } of entries) {
      const type: string = entry.type;
      const { signalId = "" } = meta;
      if (type === "workflow.wait.closed") takenBy.delete(meta.returned ?? "");
      if (type !== "workflow.wait.resolved" || signalId === "") continue;
      const other = takenBy.get(signalId);
      if (other !== undefined)
        this.found(`${runId}: ${key} and ${other} took the same signal ${signalId}`);
      takenBy.set(signalId, key);
    }
    // What a cancelled run had been sent, its code may never have arrived to.
    if (header.status !== "COMPLETED") return;
    for (const [signalId, key] of takenBy)
      if (!this.#taken.has(`${runId}\n${signalId}`))
        this.found(`${runId}: ${key} took the signal ${signalId}, and no code was given it`);
  }

  /** What a clean-up announced was done, or the run's end says that it was not. */
  #checkUndone(record: RunRecord): void {
    const { runId, entries } = record;
    const announced = new Set<string>();
    for (const { meta, ...entry } of entries) {
      const type: string = entry.type;
      if (type === "run.cleanup.started")
        for (const key of meta.compensations ?? []) announced.add(key);
    }
    for (const key of announced) {
      if (completions(record, key) > 0 || undoneOf(entries).includes(key)) continue;
      this.found(`${runId}: ${key} was announced, and neither done nor said to be undone`);
    }
  }

  /** A run that failed or was cancelled has undone what it had come past, or says what it has not. */
  #checkCompensations(record: RunRecord, program: Program): void {
    const { runId, header, entries } = record;
    if (header.status !== "CANCELLED" && header.status !== "FAILED") return;
    const names = new Set(entries.map(({ key }) => key.replace(/^.*:/, "").replace(/#.*/, "")));
    const told = undoneOf(entries);
    for (const [index, one] of program.entries()) {
      if (one.op !== "compensate") continue;
      const isPast = program
        .slice(index + 1)
        .some((later) => "name" in later && later.op !== "compensate" && names.has(later.name));
      const key = `compensate:${one.name}`;
      if (!isPast || completions(record, key) > 0 || told.includes(key) || told.includes("unknown"))
        continue;
      this.found(`${runId} is ${header.status}, and ${key} was neither done nor said to be undone`);
    }
  }

  /** Nothing is left of runs that have ended. */
  async #checkLeftovers(): Promise<void> {
    const { inner } = this.#disk;
    const { items } = await inner.due(Number.MAX_SAFE_INTEGER, 1_000);
    for (const { subject, kind, key } of items)
      this.found(`${subject.id}: ${kind} "${key}" is still due`);
    for (const { runId } of await inner.listLeases(undefined, 1_000))
      this.found(`${runId} still has a lease`);
    for (const queue of await inner.readyQueues(1_000))
      this.found(`runs are still ready: ${JSON.stringify(queue)}`);
  }
}

const CLOSES_A_WAIT: ReadonlySet<string> = new Set([
  "workflow.wait.resolved",
  "workflow.wait.closed",
]);

function completions({ entries }: RunRecord, key: string): number {
  return entries.filter((entry) => entry.type === "workflow.step.completed" && entry.key === key)
    .length;
}

function undoneOf(entries: readonly Entry[]): string[] {
  const last = entries.findLast(({ type }) => type === "run.cancelled" || type === "run.failed");
  const undone = last?.meta.undone ?? [];
  return undone === "unknown" ? [undone] : [...undone];
}

function lastOf(entries: readonly Entry[]): string {
  return entries
    .slice(-4)
    .map(({ type, key, meta }) => `${type} ${key} ${meta.outcome ?? ""}`.trim())
    .join(", ");
}
