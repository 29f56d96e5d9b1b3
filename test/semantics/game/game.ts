/**
 * A game of random commands on a real engine, or on several that share a store: up to sixteen under
 * way, and bursts of them, of many kinds on one run, made in one turn of the event loop, so that they
 * are decided in one batch. Now and then all is let come to rest, and the store is compared with what
 * was answered. In the end every run is driven to its end.
 */
import { expect } from "vitest";
import { stateOf } from "../../../server/src/engine/journal/run-memory.ts";
import { BOUNDS } from "../../../server/src/model/bounds.ts";
import type { Entry } from "../../../server/src/model/entry.ts";
import { isTerminal, type RunHeader } from "../../../server/src/model/run.ts";
import { Random } from "../../chaos/random.ts";
import { scaled } from "../../harness/scale.ts";
import { caller, eventually, journalOf, start, type TestEngine } from "../engine-fixture.ts";
import { jsonValue } from "../run-fixture.ts";
import { type CommandKind, Commands, childOf, KEYS } from "./commands.ts";
import { Table } from "./table.ts";

const RUNS = 12;
const AT_ONCE = 16;
const BURST = 10;
const CHECK_EVERY = 250;
const FOREVER_MS = 20 * 365 * 86_400_000;
const CONCLUDED_MS = 100_000;
const COMPARED_MAX = 5;

/** @returns how many commands of each kind were not refused */
export async function play(
  engines: readonly TestEngine[],
  seed: number,
  commands: number,
): Promise<ReadonlyMap<CommandKind, number>> {
  const game = new Game(engines, seed);
  await game.begin();
  for (let done = 0; done < commands; done += CHECK_EVERY) {
    await game.play(CHECK_EVERY);
    await game.check().catch((cause: unknown) => {
      const what = cause instanceof Error ? cause.message : String(cause);
      throw new Error(`PAWL_SEED=${seed}, after ${done + CHECK_EVERY} commands: ${what}`, {
        cause,
      });
    });
  }
  await game.conclude();
  await game.check();
  // Otherwise the game is too tame to find anything.
  expect(game.dispatches).toBeGreaterThan(RUNS * 2);
  expect(game.results).toBeGreaterThan(scaled(RUNS / 2, RUNS / 4));
  return game.accepted;
}

class Game {
  readonly #table: Table;
  readonly #commands: Commands;
  readonly #random: Random;
  /** How long nothing must change for all to be at rest, in ms. */
  readonly #quietMs: number;
  readonly #runIds: readonly string[];

  constructor(engines: readonly TestEngine[], seed: number) {
    this.#random = new Random(seed);
    // Without chance, a run whose id is used again would count its fences from where the one before did.
    const chance = new Random(seed + 1);
    for (const { clock } of engines) clock.random = () => chance.fraction();
    this.#table = new Table(engines, this.#random);
    this.#commands = new Commands(this.#table);
    // Servers that share a store look for one another's news twice a second.
    this.#quietMs = engines.length > 1 ? 700 : 25;
    const parents = Array.from({ length: RUNS }, (_, i) => `r${i + 1}`);
    this.#runIds = [...parents, ...parents.map(childOf)];
  }

  get accepted(): ReadonlyMap<CommandKind, number> {
    return this.#commands.accepted;
  }

  get dispatches(): number {
    return this.#table.workers.reduce((sum, worker) => sum + worker.dispatched.length, 0);
  }

  get results(): number {
    return this.#table.results.size;
  }

  async begin(): Promise<void> {
    await this.#table.connectAll();
    for (const runId of this.#runIds)
      if (!runId.includes("~")) await start(this.#table.engine, runId);
  }

  async play(count: number): Promise<void> {
    const underWay = new Set<Promise<unknown>>();
    const ask = (kind: CommandKind, runId: string) => {
      const tracked = this.#commands.ask(kind, runId).finally(() => underWay.delete(tracked));
      underWay.add(tracked);
    };
    for (let asked = 0; asked < count; ) {
      const runId = this.#runId();
      const kinds = this.#random.chance(0.15)
        ? this.#commands.burst(BURST)
        : [this.#commands.draw()];
      for (const kind of kinds) ask(kind, runId);
      asked += kinds.length;
      while (underWay.size >= AT_ONCE) await Promise.race(underWay);
    }
    await Promise.all(underWay);
  }

  #runId(): string {
    const runId = `r${this.#random.int(1, RUNS)}`;
    return this.#random.chance(0.15) ? childOf(runId) : runId;
  }

  /** Waits until timers have fired and runs are given out, and nothing changes by itself. */
  async #rest(): Promise<void> {
    const refs = this.#runIds.map((runId) => ({
      org: caller.org,
      runId,
      afterSeq: 0xffff_fffe,
    }));
    let before = "";
    await eventually(async () => {
      const loaded = await this.#store.loadRuns(refs);
      const now = loaded.map((run) => `${run?.header.fence} ${run?.header.seq}`).join();
      const same = now === before;
      before = now;
      if (!same) await new Promise((resolve) => setTimeout(resolve, this.#quietMs));
      return same || undefined;
    });
  }

  get #store() {
    const [first] = this.#table.engines;
    if (first === undefined) throw new Error("There is no engine.");
    return first.store;
  }

  /**
   * Compares the store with what was answered. It is read piece by piece, and a lease may end on a busy
   * machine meanwhile; what is wrong stays wrong.
   */
  async check(): Promise<void> {
    for (let tries = 1; ; tries += 1) {
      await this.#rest();
      try {
        await this.#compare();
        return;
      } catch (error) {
        if (tries === COMPARED_MAX) throw error;
      }
    }
  }

  async #compare(): Promise<void> {
    const leases = new Map(
      (await this.#store.listLeases(undefined, 1_000)).map(({ runId, fence }) => [runId, fence]),
    );
    const due = await this.#store.due(Date.now() + FOREVER_MS, 10_000);
    const dueOf = new Map<string, Set<string>>();
    for (const { subject, kind, key } of due.items)
      dueOf.set(subject.id, (dueOf.get(subject.id) ?? new Set()).add(`${kind} ${key}`));
    for (const runId of this.#runIds) {
      const [loaded] = await this.#store.loadRuns([{ org: caller.org, runId, afterSeq: 0 }]);
      if (loaded === undefined) continue;
      const { header } = loaded;
      const journal = await journalOf(this.#table.engine, runId);
      const numbers = Array.from({ length: header.seq }, (_, index) => index + 1);
      expect(journal.map(({ seq }) => seq)).toEqual(numbers);
      this.#checkLease(header, leases.get(runId));
      const { fence = 0, uid = "" } = this.#table.lives.get(runId) ?? {};
      if (uid === header.runUid) expect(header.fence).toBeGreaterThanOrEqual(fence);
      await this.#checkWaits(header, loaded.entries, dueOf.get(runId) ?? new Set());
      this.#checkRecords(header, journal);
    }
    expect(this.#table.problems).toEqual([]);
  }

  #checkLease({ runId, status, lease, fence }: RunHeader, leased: number | undefined): void {
    if (status !== "CANCELLING")
      expect([runId, lease !== null]).toEqual([runId, status === "RUNNING"]);
    expect([runId, leased]).toEqual([runId, lease === null ? undefined : fence]);
  }

  /** What waits is due and listed, and nothing else is. */
  async #checkWaits(
    header: RunHeader,
    entries: Parameters<typeof stateOf>[1],
    due: ReadonlySet<string>,
  ): Promise<void> {
    const { runId } = header;
    const isOver = isTerminal(header.status);
    if (isOver) expect([runId, ...due]).toEqual([runId]);
    const open: string[] = [];
    for (const [key, step] of stateOf(header, entries).steps) {
      if (step.status !== "waiting" || isOver) continue;
      if (step.until !== 0) expect([runId, ...due]).toContain(`wait ${key}`);
      const isShort = step.kind === "sleep" && step.until - step.firstAt < BOUNDS.listedSleepMs;
      if (!isShort) open.push(key);
    }
    const list = { kinds: [], assignee: "", includeUnassigned: true, workflow: "", runId };
    const page = { ...list, closed: false, pageSize: 100, pageToken: "" };
    const { waits } = await this.#table.engine.waits.list(caller, page);
    expect([runId, ...waits.map(({ key }) => key).sort()]).toEqual([runId, ...open.sort()]);
  }

  #checkRecords({ runId, runUid }: RunHeader, journal: readonly Entry[]): void {
    for (const key of KEYS) {
      const completed = journal.filter(
        (entry) => entry.type === "workflow.step.completed" && entry.key === key,
      );
      expect([runId, completed.length <= 1]).toEqual([runId, true]);
      const acknowledged = this.#table.results.get(`${runUid} ${key}`);
      if (acknowledged !== undefined)
        expect([runId, jsonValue(completed[0]?.payload)]).toEqual([runId, acknowledged]);
    }
    const received = new Map<string, number>();
    const taken = new Set<string>();
    for (const { type, meta } of journal) {
      const { signalId = "", returned = "" } = meta;
      if (type === "workflow.signal.received")
        received.set(signalId, (received.get(signalId) ?? 0) + 1);
      if (type === "workflow.wait.closed") taken.delete(returned);
      if (type !== "workflow.wait.resolved" || signalId === "") continue;
      expect([runId, signalId, taken.has(signalId)]).toEqual([runId, signalId, false]);
      taken.add(signalId);
    }
    for (const [signalId, count] of received)
      expect([runId, signalId, count]).toEqual([runId, signalId, 1]);
    for (const signalId of this.#table.signals.get(runUid) ?? [])
      expect([runId, signalId, received.get(signalId)]).toEqual([runId, signalId, 1]);
  }

  /** Whatever is left of the runs, they can be brought to an end. */
  async conclude(): Promise<void> {
    const refs = this.#runIds.map((runId) => ({ org: caller.org, runId, afterSeq: 0xffff_fffe }));
    let left: string[] = [];
    await eventually(async () => {
      const loaded = await this.#store.loadRuns(refs);
      const open = loaded.flatMap((run) =>
        run === undefined || isTerminal(run.header.status) ? [] : [run.header],
      );
      left = open.map(({ runId, status, reason }) => `${runId} ${status} ${reason}`);
      await Promise.all(open.map(({ runId }) => this.#commands.help(runId)));
      return open.length === 0 || undefined;
    }, CONCLUDED_MS).catch((cause: unknown) => {
      throw new Error(`Some runs do not end: ${left.join(", ")}`, { cause });
    });
  }
}
