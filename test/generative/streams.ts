/** What somebody who watches a run from its beginning sees of its steps, compared with their records. */
import { isDeepStrictEqual } from "node:util";
import type { RunHandle } from "@pawl/worker";
import { brief } from "./model.ts";
import { isRecord } from "./program.ts";

export class StreamWatch {
  readonly problems: string[] = [];
  readonly #stop = new AbortController();
  readonly #over: Promise<void>;
  /** What each attempt has sent, until it is final or taken back. */
  readonly #open = new Map<string, unknown[]>();
  /** What was final, until the record comes. */
  readonly #final = new Map<string, unknown[]>();
  #lossy = false;

  constructor(handle: RunHandle) {
    this.#over = this.#follow(handle);
    this.#over.catch(() => undefined);
  }

  /** Ends the watch, which has had its time, where it did not end by itself. */
  async end(withinMs: number): Promise<readonly string[]> {
    const timer = setTimeout(() => {
      this.problems.push("its watch did not end with the run");
      this.#stop.abort();
    }, withinMs);
    try {
      await this.#over;
    } finally {
      clearTimeout(timer);
    }
    return this.problems;
  }

  async #follow(handle: RunHandle): Promise<void> {
    let ended = "";
    for await (const event of handle.watch({ abortSignal: this.#stop.signal })) {
      const { type, stepKey, attempt, payload: data, merged } = event;
      const key = `${stepKey} ${attempt}`;
      if (ended !== "") this.problems.push(`${type} follows ${ended}`);
      if (type === "output.delta") {
        this.#open.set(key, [...(this.#open.get(key) ?? []), data]);
        // Items that were joined cannot be distinguished.
        if (merged > 1 && typeof data !== "string") this.#lossy = true;
      } else if (type === "gap") this.#lossy = true;
      else if (type === "rollback") this.#open.delete(key);
      else if (type === "commit") {
        this.#final.set(stepKey, this.#open.get(key) ?? []);
        this.#open.delete(key);
      } else if (type === "workflow.step.completed") {
        this.#compare(stepKey, event.entry?.payload);
      } else if (/^run\.(completed|failed|cancelled)$/.test(type)) ended = type;
    }
  }

  #compare(stepKey: string, value: unknown): void {
    const seen = this.#final.get(stepKey);
    this.#final.delete(stepKey);
    if (seen === undefined || this.#lossy) return;
    const shown = typeof value === "string" ? seen.join("") : isRecord(value) ? seen.at(-1) : seen;
    if (!isDeepStrictEqual(shown, value)) {
      this.problems.push(
        `${stepKey}: a watcher saw ${brief(seen)} by its commit, and the record is ${brief(value)}`,
      );
    }
  }
}
