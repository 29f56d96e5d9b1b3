/**
 * What a worker learns from the replies to its calls comes out of order where nothing is pushed: it
 * hears of a wait's end when it next asks, and meanwhile a reply may name a later place in the
 * journal. A replay would hand out both in the order of the journal. So what is between is read first.
 */
import type { JournalEntry } from "@pawl/proto";
import type { Pending } from "./pending.ts";
import type { Run } from "./run.ts";

interface Withheld {
  readonly seq: number;
  readonly push: () => void;
}

export class CatchUp {
  readonly #run: Run;
  /** No wait was resolved up to there that the code was not told of. */
  #knownSeq: number;
  /** Waits may have been resolved since that would have been pushed. */
  #isUnsure = false;
  #withheld: Withheld[] = [];

  constructor(run: Run) {
    this.#run = run;
    this.#knownSeq = run.memo.lastSeq;
  }

  /** The connection was lost for a while. */
  doubt(): void {
    this.#isUnsure = [...this.#run.operations].some(({ isStep }) => !isStep);
  }

  /** Calls `push`, which hands out what is recorded there of an operation, once all before it is known. */
  inOrder(of: Pending, seq: number, push: () => void): void {
    const isPushed = this.#run.link.pushesWaits && !this.#isUnsure;
    const isKnown = isPushed || seq <= this.#knownSeq;
    if (isKnown || (this.#withheld.length === 0 && !this.#hasOtherWait(of))) {
      this.#knownSeq = Math.max(this.#knownSeq, seq);
      push();
      return;
    }
    this.#withheld.push({ seq, push });
    if (this.#withheld.length === 1) void this.#read();
  }

  #hasOtherWait(than: Pending): boolean {
    for (const operation of this.#run.operations)
      if (!operation.isStep && operation !== than) return true;
    return false;
  }

  async #read(): Promise<void> {
    const run = this.#run;
    run.setBusy(true);
    try {
      while (this.#withheld.length > 0) {
        const untilSeq = Math.max(...this.#withheld.map(({ seq }) => seq));
        const resolved = await this.#resolvedUntil(untilSeq);
        this.#knownSeq = untilSeq;
        this.#isUnsure = false;
        for (const entry of resolved) run.waitResolved(entry);
        const due = this.#withheld.filter(({ seq }) => seq <= untilSeq);
        this.#withheld = this.#withheld.filter(({ seq }) => seq > untilSeq);
        for (const { push } of due) push();
      }
    } catch (error) {
      void run.end(error);
    } finally {
      run.setBusy(false);
    }
  }

  /** The ends of waits up to that place that nobody has told of, unless they were closed since. */
  async #resolvedUntil(untilSeq: number): Promise<JournalEntry[]> {
    const ends = new Map<string, JournalEntry>();
    for (let seq = this.#knownSeq; seq < untilSeq; ) {
      const page = await this.#run.persist(() => this.#run.memo.readAfter(seq));
      const last = page.at(-1);
      if (last === undefined) break;
      for (const entry of page) {
        if (entry.seq > untilSeq) break;
        if (entry.type === "workflow.wait.resolved") ends.set(entry.stepKey, entry);
        else if (entry.type === "workflow.wait.closed") ends.delete(entry.stepKey);
      }
      seq = last.seq;
    }
    const asked = new Set([...this.#run.operations].map(({ key }) => key));
    return [...ends.values()].filter(({ stepKey }) => asked.has(stepKey));
  }
}
