/** What one watcher of a run has seen, and whether it is what is on record. */
import type { EventView } from "@pawl/worker";
import type { RunRecord } from "./disk.ts";
import type { Judge } from "./judge.ts";

/** Deltas that are missing. */
export interface Gap {
  readonly fence: number;
  readonly from: number;
  readonly to: number;
}

const ENDS: ReadonlySet<string> = new Set(["run.completed", "run.failed", "run.cancelled"]);

export class WatcherView {
  readonly runId: string;
  readonly #judge: Judge;
  /** What was streamed and is neither final nor void, by step attempt. */
  readonly #texts = new Map<string, string>();
  /** Step attempts whose end has been told. */
  readonly #ended = new Set<string>();
  readonly #checkpoints: string[] = [];
  /** Something is missing for a good reason. */
  #isPartial = false;
  #committed: string | undefined;
  isDone = false;

  constructor(runId: string, judge: Judge) {
    this.runId = runId;
    this.#judge = judge;
  }

  saw(event: EventView): void {
    const { type, stepKey, attempt } = event;
    const stream = `${stepKey}@${attempt}`;
    if (type === "output.delta") {
      if (this.#ended.has(stream)) this.#found(`${stream} streams after its end`);
      this.#texts.set(stream, (this.#texts.get(stream) ?? "") + String(event.payload));
    }
    if (type === "gap") this.#missed(event.payload);
    if (type === "rollback" || type === "commit") {
      if (this.#ended.has(stream)) this.#found(`a second verdict on ${stream}: ${type}`);
      // An attempt whose start was not written goes unnumbered when its worker is lost.
      if (type === "commit" || this.#judge.isNumbered(this.runId, stepKey, attempt))
        this.#ended.add(stream);
    }
    if (type === "rollback") this.#texts.delete(stream);
    if (type === "commit") this.#committed = stream;
    if (event.class === "checkpoint") this.#checkpoint(event, stream);
  }

  #checkpoint({ type, entry }: EventView, stream: string): void {
    this.#checkpoints.push(type);
    const text = this.#texts.get(stream);
    if (type === "workflow.step.completed") {
      const result = entry?.payload;
      const isCommitted = this.#committed === stream;
      if (text !== undefined && !isCommitted)
        this.#found(`${stream} is completed without a commit`);
      if (isCommitted && !this.#isPartial && typeof result === "string" && text !== result)
        this.#found(
          `saw ${JSON.stringify(text)} of ${stream}, the record is ${JSON.stringify(result)}`,
        );
      this.#texts.delete(stream);
    } else if (this.#committed !== undefined)
      this.#found(`a commit of ${this.#committed} comes before ${type}`);
    this.#committed = undefined;
    if (ENDS.has(type))
      for (const name of this.#texts.keys()) this.#found(`was never told what became of ${name}`);
  }

  #missed(data: unknown): void {
    const isLegitimate = isGap(data) && this.#judge.isLegitimate(this.runId, data);
    if (isLegitimate) this.#isPartial = true;
    else this.#found(`was told of a gap ${JSON.stringify(data)}`);
  }

  #found(violation: string): void {
    this.#judge.found(`${this.runId}: a watcher ${violation}`);
  }

  /** The stream ended by itself. */
  ended(last: EventView | undefined): void {
    this.isDone = true;
    if (last !== undefined && !ENDS.has(last.type)) this.#found(`ended with ${last.type}`);
  }

  check(record: RunRecord | undefined): void {
    if (!this.isDone || record === undefined) return;
    const types = record.entries.map(({ type }) => type).slice(0, this.#checkpoints.length);
    const index = this.#checkpoints.findIndex((type, i) => type !== types[i]);
    if (index >= 0)
      this.#found(
        `saw the checkpoints ${this.#checkpoints.join(" ")}; on record are ${types.join(" ")}`,
      );
  }
}

function isGap(data: unknown): data is Gap {
  return typeof data === "object" && data !== null && "fence" in data;
}
