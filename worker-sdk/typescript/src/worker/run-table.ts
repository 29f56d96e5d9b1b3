// Section H of docs/replay-machine.md.
/**
 * The runs that a worker holds: from the moment a slot takes one on until it has
 * left. What the platform says about a run while its journal is still being read
 * waits until its execution has started.
 */
import { type JournalEntry, type LeaseResult, LeaseStatus, type WorkItem } from "@pawl/proto";
import type { Logger } from "../lib/logger.ts";
import type { Culprit } from "../lib/loop-watch.ts";
import type { RunFacts } from "../run/facts.ts";
import type { LeftRun } from "../run/link.ts";
import type { Run } from "../run/run.ts";
import type { AnyWorkflow } from "../workflow-types.ts";
import { type LaunchContext, launch } from "./launch.ts";

interface Held {
  readonly fence: number;
  readonly attempt: number;
  run: Run | undefined;
  readonly news: ((run: Run) => void)[];
}

export class RunTable {
  readonly #held = new Map<string, Held>();
  /** Runs whose code has ended, and whose outcome is on its way to the platform. */
  readonly #ending = new Set<string>();
  readonly #logger: Logger;
  /** Called when a run has left. */
  readonly #onFree: () => void;
  /** Called when a run was given up here, which the platform does not know. */
  readonly #onGivenUp: (runId: string, fence: number) => void;

  readonly #replayAlways: boolean;

  constructor(
    logger: Logger,
    onFree: () => void,
    onGivenUp: (runId: string, fence: number) => void = () => undefined,
    replayAlways = false,
  ) {
    this.#replayAlways = replayAlways;
    this.#logger = logger;
    this.#onFree = onFree;
    this.#onGivenUp = onGivenUp;
  }

  get size(): number {
    return this.#held.size;
  }

  /** Slots in use: a run whose code has ended needs none. */
  get occupied(): number {
    return this.#held.size - this.#ending.size;
  }

  /** The run's code has ended: its slot is free from now on. */
  ending(runId: string): void {
    if (!this.#held.has(runId) || this.#ending.has(runId)) return;
    this.#ending.add(runId);
    this.#onFree();
  }

  /** Run id, current fence and attempt of each. */
  leases(): { runId: string; fence: number; attempt: number }[] {
    return [...this.#held].map(([runId, held]) => ({
      runId,
      fence: this.#fenceOf(runId),
      attempt: held.attempt,
    }));
  }

  #fenceOf(runId: string): number {
    const held = this.#held.get(runId);
    return held?.run?.fence ?? held?.fence ?? 0;
  }

  has(runId: string): boolean {
    return this.#held.has(runId);
  }

  get(runId: string): Run | undefined {
    return this.#held.get(runId)?.run;
  }

  /** Takes a run on and starts to execute it. */
  async take(item: WorkItem, workflow: AnyWorkflow, context: LaunchContext): Promise<void> {
    const runId = item.lease?.runId ?? "";
    // It comes back to where it was lost: what is left of it here is no longer valid.
    this.drop(runId, "the run was dispatched again");
    const held: Held = {
      fence: item.lease?.fence ?? 0,
      attempt: item.lease?.attempt ?? 0,
      run: undefined,
      news: [],
    };
    this.#held.set(runId, held);
    this.#ending.delete(runId);
    await this.#execute(held, item, workflow, context);
  }

  async #execute(
    held: Held,
    item: WorkItem,
    workflow: AnyWorkflow,
    context: LaunchContext,
  ): Promise<void> {
    const runId = item.lease?.runId ?? "";
    const again = (before: RunFacts): void => {
      held.run = undefined;
      void this.#execute(held, item, workflow, { ...context, before });
    };
    try {
      const run = await launch(
        item,
        workflow,
        this.#replayAlways ? { ...context, again } : context,
      );
      held.run = run;
      if (this.#held.get(runId) !== held)
        run.leave("the run was taken back while its journal was read");
      for (const tell of held.news.splice(0)) tell(run);
    } catch (error) {
      this.#logger.error("a run's journal could not be read; the run is given up", {
        runId,
        error: String(error),
      });
      if (this.#held.get(runId) === held) this.#onGivenUp(runId, held.fence);
      this.#remove(runId, held);
    }
  }

  /** Tells a run something, now or once its execution has started. */
  tell(runId: string, tell: (run: Run) => void): void {
    const held = this.#held.get(runId);
    if (held === undefined) return;
    if (held.run === undefined) held.news.push(tell);
    else tell(held.run);
  }

  /** `graceMs`: how long the clean-up may take, where that is known. */
  cancel(runId: string, fence: number, reason: string, graceMs?: number): void {
    this.tell(runId, (run) => run.cancel(fence, reason, graceMs));
  }

  pause(runId: string): void {
    this.tell(runId, (run) => run.pause());
  }

  waitResolved(runId: string, entry: JournalEntry): void {
    this.tell(runId, (run) => run.waitResolved(entry));
  }

  /** What a heartbeat was answered. */
  leaseResult(result: LeaseResult): void {
    const fence = this.#fenceOf(result.runId);
    // Given to this worker anew since: the result is about the execution before.
    if (result.status === LeaseStatus.LOST && result.fence > 0 && result.fence < fence) return;
    if (result.status === LeaseStatus.LOST) this.drop(result.runId, "the lease was lost");
    else if (result.status === LeaseStatus.CANCEL) this.cancel(result.runId, result.fence, "");
    else if (result.status === LeaseStatus.PAUSE) this.pause(result.runId);
  }

  /** The run is no longer this worker's. */
  drop(runId: string, why: string): void {
    const held = this.#held.get(runId);
    if (held === undefined) return;
    if (held.run === undefined) this.#remove(runId, held);
    else held.run.leave(why);
  }

  dropAll(why: string): void {
    for (const runId of [...this.#held.keys()]) this.drop(runId, why);
  }

  /** The run has left by itself. */
  released(run: LeftRun): void {
    const held = this.#held.get(run.runId);
    if (held === undefined || held.run !== run) return;
    if (run.gaveUp) this.#onGivenUp(run.runId, run.fence);
    this.#remove(run.runId, held);
  }

  #remove(runId: string, held: Held): void {
    if (this.#held.get(runId) !== held) return;
    this.#held.delete(runId);
    this.#ending.delete(runId);
    this.#onFree();
  }

  /** The steps whose bodies are running. */
  stepsUnderWay(): Culprit[] {
    const found: Culprit[] = [];
    for (const { run } of this.#held.values()) {
      for (const { key, isRunning } of run?.operations ?? [])
        if (isRunning && run !== undefined) found.push({ runId: run.runId, stepKey: key });
    }
    return found;
  }

  /** Steps may start again. */
  wakeHeld(): void {
    for (const { run } of this.#held.values()) if (run?.left === false) run.wake();
  }

  /**
   * The platform is in reach again: what had to wait for that continues. Waits are asked about, since
   * what was resolved while there was no connection was told to nobody.
   */
  wakeAll(): void {
    for (const { run } of this.#held.values()) {
      if (run === undefined || run.left) continue;
      run.catchUp.doubt();
      for (const operation of [...run.operations]) operation.askAgain();
      run.wake();
    }
  }
}
