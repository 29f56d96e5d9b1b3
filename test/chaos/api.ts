/** The public API as an operator's program uses it: any server will do, and what fails is sent again. */

import { setTimeout as pause } from "node:timers/promises";
import { type Client, Code, ConnectError, createClient } from "@connectrpc/connect";
import { createConnectTransport } from "@connectrpc/connect-node";
import { type JournalEntry, type Run, RunService, RunStatus, SignalService } from "@pawl/proto";
import type { Start } from "./workload.ts";

/** Says nothing about the request: the server was killed, starts, or cannot reach its store. */
const passing: ReadonlySet<Code> = new Set([
  Code.Unavailable,
  Code.Aborted,
  Code.Canceled,
  Code.DeadlineExceeded,
  Code.Unknown,
]);

export interface RunRecord {
  readonly run: Run;
  readonly journal: readonly JournalEntry[];
}

interface Services {
  readonly runs: Client<typeof RunService>;
  readonly signals: Client<typeof SignalService>;
}

export class Api {
  readonly #servers: readonly Services[];
  readonly #signal: AbortSignal;
  #next = 0;

  /** @param signal gives all calls up */
  constructor(httpAddresses: readonly string[], signal: AbortSignal) {
    this.#signal = signal;
    this.#servers = httpAddresses.map((address) => {
      const transport = createConnectTransport({
        baseUrl: `http://${address}`,
        httpVersion: "1.1",
      });
      return {
        runs: createClient(RunService, transport),
        signals: createClient(SignalService, transport),
      };
    });
  }

  /** Asks one server after the other until one answers. */
  async #ask<T>(call: (services: Services) => Promise<T>, alsoPassing?: Code): Promise<T> {
    for (;;) {
      this.#signal.throwIfAborted();
      const services = this.#servers[this.#next % this.#servers.length];
      if (services === undefined) throw new Error("No server was named.");
      try {
        return await call(services);
      } catch (error) {
        const { code, cause } = ConnectError.from(error);
        // What breaks the connection has a code of the system's, such as EPIPE.
        const broken = cause instanceof Error && "code" in cause;
        if (!broken && !passing.has(code) && code !== alsoPassing) throw error;
        this.#next += 1;
        await pause(50, undefined, { signal: this.#signal });
      }
    }
  }

  /** Starts a run, once whatever happens; waits until a worker has registered its workflow. */
  async start({ workflow, runId, input }: Start): Promise<void> {
    const request = { workflow, runId, input: json(input) };
    await this.#ask(({ runs }) => runs.startRun(request, this.#options()), Code.NotFound);
  }

  async sendSignal(runId: string, name: string): Promise<void> {
    const request = { runId, name, signalId: `${runId}-${name}`, payload: json(`${name}!`) };
    await this.#ask(({ signals }) => signals.sendSignal(request, this.#options()));
  }

  /** Returns when the run has ended. */
  async ended(runId: string): Promise<Run> {
    for (;;) {
      const timeout = { seconds: 5n, nanos: 0 };
      const { run } = await this.#ask(({ runs }) =>
        runs.waitRun({ runId, timeout }, this.#options()),
      );
      if (run !== undefined && run.status >= RunStatus.COMPLETED) return run;
      if (run?.status === RunStatus.PAUSED) {
        throw new Error(`Run ${runId} is paused: ${run.statusReason}: ${run.statusDetail}`);
      }
    }
  }

  /** Has a failed run continue; it may have been asked to before, without an answer. */
  async retry(runId: string): Promise<void> {
    await this.#ask(async ({ runs }) => {
      const { run } = await runs.getRun({ runId }, this.#options());
      if (run?.status === RunStatus.FAILED) await runs.retryRun({ runId }, this.#options());
    });
  }

  /** All runs with their journals. */
  async everything(): Promise<RunRecord[]> {
    const listed: Run[] = [];
    let pageToken = "";
    do {
      const page = await this.#ask(({ runs }) =>
        runs.listRuns({ pageSize: 100, pageToken }, this.#options()),
      );
      listed.push(...page.runs);
      pageToken = page.nextPageToken;
    } while (pageToken !== "");
    return Promise.all(
      listed.map(async ({ runId }) => {
        const { run } = await this.#ask(({ runs }) => runs.getRun({ runId }, this.#options()));
        if (run === undefined) throw new Error(`GetRun answered no run for ${runId}.`);
        return { run, journal: await this.#journal(runId) };
      }),
    );
  }

  async #journal(runId: string): Promise<JournalEntry[]> {
    const entries: JournalEntry[] = [];
    for (;;) {
      const afterSeq = entries.at(-1)?.seq ?? 0;
      const page = await this.#ask(({ runs }) =>
        runs.getJournal({ runId, afterSeq }, this.#options()),
      );
      entries.push(...page.entries);
      if (!page.more) return entries;
    }
  }

  #options() {
    return { signal: this.#signal, timeoutMs: 10_000 };
  }
}

function json(value: unknown) {
  return { encoding: "json", data: Buffer.from(JSON.stringify(value)) };
}
