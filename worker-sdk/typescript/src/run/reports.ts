/** What a run reports that none of its code waits for. */
import { limits } from "../limits.ts";
import type { Run } from "./run.ts";

export class Reports {
  readonly #run: Run;
  readonly #open = new Set<Promise<unknown>>();
  /** What may have to be reported of is not known yet. */
  readonly #expected = new Set<Promise<unknown>>();
  /** Waits to be closed, together. */
  #closing: string[] = [];

  constructor(run: Run) {
    this.#run = run;
  }

  /** Reports that `what`; the run is not suspended before it is answered. */
  send(what: string, send: () => Promise<unknown>): void {
    const run = this.#run;
    if (run.left) return;
    run.setBusy(true);
    const report = run
      .persist(send)
      .catch((error: unknown) =>
        run.logger.warn(`the platform does not take the report that ${what}`, {
          runId: run.runId,
          error: String(error),
        }),
      )
      .finally(() => {
        this.#open.delete(report);
        run.setBusy(false);
      });
    this.#open.add(report);
  }

  /** The run does not end before that has settled: there may be something to report then. */
  expect(settled: Promise<unknown>): void {
    this.#expected.add(settled);
    void settled.finally(() => this.#expected.delete(settled));
  }

  /** Resolves when the end of the run can be reported; undefined where that is now. */
  done(): Promise<unknown> | undefined {
    // Only separate calls may overtake one another.
    const open = this.#run.link.confirmStarts
      ? [...this.#expected, ...this.#open]
      : [...this.#expected];
    return open.length === 0 ? undefined : Promise.all(open).then(() => this.done());
  }

  /** Nobody will take what the wait brings. Those of one branch are closed together. */
  closeWait(key: string): void {
    if (this.#run.left) return;
    this.#closing.push(key);
    if (this.#closing.length === 1) queueMicrotask(() => this.#closeWaits());
  }

  #closeWaits(): void {
    const { link, runId } = this.#run;
    const keys = this.#closing.splice(0);
    for (let at = 0; at < keys.length; at += limits.closedWaitsMax) {
      const stepKeys = keys.slice(at, at + limits.closedWaitsMax);
      this.send("waits have been given up", () =>
        link.closeWaits({ runId, fence: this.#run.fence, stepKeys }),
      );
    }
  }
}
