/** Plays a case: starts its run, does its actions, and says what came of it. */
import { randomUUID } from "node:crypto";
import { readFile } from "node:fs/promises";
import { join } from "node:path";
import type { Client } from "@grpc/grpc-js";
import {
  EventService,
  type JournalEntry,
  type Payload,
  PayloadService,
  type Run,
  RunService,
  RunStatus,
  SignalService,
  WaitOutcome,
  WaitService,
} from "@pawl/proto";
import { patienceMs } from "../harness/patience.ts";
import { rpc } from "../harness/protocol.ts";
import type { Action, ConformanceCase } from "./schema.ts";

const pollMs = 20;
/** The server answers when the run ends, so that many cases at once need not ask and ask. */
const endWithin = { seconds: 5n };

/** What the actions on processes do; a case without such actions never calls them. */
export interface Stage {
  killWorker(): Promise<void>;
  stopWorker(): Promise<void>;
  startWorker(sdk: string | undefined, deploy: number): Promise<void>;
  killServer(awayMs: number): Promise<void>;
}

export interface Played {
  readonly run: Run;
  readonly output: unknown;
  readonly journal: readonly string[];
  readonly effects: Readonly<Record<string, number>>;
  readonly events: readonly string[];
}

export class Player {
  readonly runId: string;
  readonly #one: ConformanceCase;
  readonly #connect: () => Client;
  readonly #folder: string;
  readonly #queue: string;
  readonly #stage: Stage;

  constructor(
    one: ConformanceCase,
    settings: { connect: () => Client; folder: string; queue: string; stage: Stage },
  ) {
    this.runId = `${one.name}-${randomUUID().slice(0, 8)}`;
    this.#one = one;
    this.#connect = settings.connect;
    this.#folder = settings.folder;
    this.#queue = settings.queue;
    this.#stage = settings.stage;
  }

  async play(): Promise<Played> {
    const { runId } = this;
    const input = payload({ programs: this.#one.programs });
    const start = { workflow: "conformance", runId, queue: this.#queue, input };
    await rpc(this.#connect(), RunService.method.startRun, start);
    for (const action of this.#one.actions) await this.#act(action);
    const state = RunStatus[this.#one.expect.state as keyof typeof RunStatus];
    const run = await this.#until(`the state ${this.#one.expect.state}`, async () => {
      const found = isOver(state) ? await this.#ended() : await this.#run();
      if (found?.status === state || (found && isOver(found.status))) return found;
      return undefined;
    });
    const journal = await this.#journal();
    return {
      run,
      output: await this.#output(run.output),
      journal: journal.map(line).filter(isCompared),
      effects: await this.#effects(),
      events: this.#one.expect.events === undefined ? [] : await this.#events(),
    };
  }

  async #act(action: Action): Promise<void> {
    const { runId } = this;
    const client = this.#connect();
    if ("awaitEntry" in action) {
      await this.#until(`the entry ${action.awaitEntry}`, async () => {
        const lines = (await this.#journal()).map(line);
        const count = lines.filter((one) => one === action.awaitEntry).length;
        return count >= action.count ? true : undefined;
      });
    } else if ("awaitState" in action) {
      const wanted = RunStatus[action.awaitState as keyof typeof RunStatus];
      await this.#until(`the state ${action.awaitState}`, async () =>
        (await this.#run()).status === wanted ? true : undefined,
      );
    } else if ("awaitChild" in action) {
      const wanted = RunStatus[action.awaitChild as keyof typeof RunStatus];
      await this.#until(`a child in the state ${action.awaitChild}`, async () => {
        const { runs } = await rpc(client, RunService.method.listRuns, { parentRunId: runId });
        return runs.some(({ status }) => status === wanted) ? true : undefined;
      });
    } else if ("awaitEffect" in action) {
      await this.#until(`the effect ${action.awaitEffect}`, async () =>
        ((await this.#effects())[action.awaitEffect] ?? 0) >= action.count ? true : undefined,
      );
    } else if ("killWorker" in action) await this.#stage.killWorker();
    else if ("stopWorker" in action) await this.#stage.stopWorker();
    else if ("startWorker" in action) {
      await this.#stage.startWorker(action.startWorker.sdk, action.startWorker.deploy);
    } else if ("killServer" in action) await this.#stage.killServer(action.awayMs);
    else if ("signal" in action) {
      const { name, value, id } = action.signal;
      const request = {
        runId,
        name,
        payload: payload(value),
        ...(id === undefined ? {} : { signalId: id }),
      };
      await rpc(client, SignalService.method.sendSignal, request);
    } else if ("cancel" in action) {
      await rpc(client, RunService.method.cancelRun, { runId });
    } else if ("pause" in action) await rpc(client, RunService.method.pauseRun, { runId });
    else if ("resume" in action) await rpc(client, RunService.method.resumeRun, { runId });
    else if ("retry" in action) await rpc(client, RunService.method.retryRun, { runId });
    else if ("answer" in action) {
      const { key, value, skip, actor } = action.answer;
      const response = skip
        ? ({ case: "skip", value: true } as const)
        : ({ case: "answer", value: payload(value) } as const);
      const request = { runId, stepKey: key, resolutionId: randomUUID(), actor, response };
      await rpc(client, WaitService.method.answerWait, request);
    } else if ("post" in action) {
      await this.#post(action.post.callback, action.post.value);
    } else if ("waitMs" in action) await sleep(action.waitMs);
    else throw new Error(`The runner does not know the action ${JSON.stringify(action)}.`);
  }

  async #post(callback: string, value: unknown): Promise<void> {
    const file = join(this.#folder, `${this.runId}.callback.${callback}`);
    const url = await this.#until(`the callback ${callback}`, async () => {
      const urls = new Set((await readFile(file, "utf8")).trim().split("\n"));
      if (urls.size > 1) throw new Error(`A replay got another URL: ${[...urls].join(", ")}`);
      return [...urls][0];
    });
    const headers = { "content-type": "application/json" };
    const response = await fetch(url, { method: "POST", headers, body: JSON.stringify(value) });
    if (!response.ok) throw new Error(`${response.status}: ${await response.text()}`);
  }

  async #run(): Promise<Run> {
    const { run } = await rpc(this.#connect(), RunService.method.getRun, { runId: this.runId });
    if (run === undefined) throw new Error("The server answered no run.");
    return run;
  }

  async #ended(): Promise<Run | undefined> {
    const request = { runId: this.runId, timeout: endWithin };
    return (await rpc(this.#connect(), RunService.method.waitRun, request)).run;
  }

  async #journal(): Promise<JournalEntry[]> {
    const entries: JournalEntry[] = [];
    for (;;) {
      const page = await rpc(this.#connect(), RunService.method.getJournal, {
        runId: this.runId,
        afterSeq: entries.length,
      });
      entries.push(...page.entries);
      if (!page.more || page.entries.length === 0) return entries;
    }
  }

  /** A large one is kept apart. */
  async #output(value: Payload | undefined): Promise<unknown> {
    if (value === undefined || value.encoding === "void") return undefined;
    const pieces = [value.data];
    for (let size = 0; value.ref !== undefined && size < value.ref.size; ) {
      const request = { sha256: value.ref.sha256, offset: size };
      const { data } = await rpc(this.#connect(), PayloadService.method.getPayload, request);
      pieces.push(data);
      size += data.byteLength;
    }
    return JSON.parse(Buffer.concat(pieces).toString("utf8")) as unknown;
  }

  async #effects(): Promise<Record<string, number>> {
    const counts: Record<string, number> = {};
    const text = await readFile(join(this.#folder, "effects"), "utf8").catch(() => "");
    for (const effect of text.split("\n")) {
      const [runId, name = ""] = effect.split("\t");
      if (runId === this.runId) counts[name] = (counts[name] ?? 0) + 1;
    }
    return counts;
  }

  async #events(): Promise<string[]> {
    const request = { runId: this.runId, pageSize: 1_000 };
    const { events } = await rpc(this.#connect(), EventService.method.listEvents, request);
    return events.map(({ type }) => type);
  }

  /** Asks again and again, also while there is no server. */
  async #until<T>(what: string, ask: () => Promise<T | undefined>): Promise<T> {
    const begin = performance.now();
    let problem: unknown;
    while (performance.now() - begin < patienceMs) {
      try {
        const answer = await ask();
        if (answer !== undefined) return answer;
      } catch (error) {
        problem = error;
      }
      await sleep(pollMs);
    }
    const seen = (await this.#journal().catch(() => [])).map(line).join(", ");
    throw new Error(`${what} did not come; the journal: ${seen}`, { cause: problem });
  }
}

function sleep(ms: number): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, ms));
}

function isOver(status: RunStatus): boolean {
  return [RunStatus.COMPLETED, RunStatus.FAILED, RunStatus.CANCELLED].includes(status);
}

/** An entry as cases write it. */
function line({ type, stepKey, outcome }: JournalEntry): string {
  const how = type === "workflow.wait.resolved" ? WaitOutcome[outcome].toLowerCase() : "";
  return [type, stepKey, how].filter((part) => part !== "").join(" ");
}

/** How soon a start is written, and how often a run was taken over, is a matter of timing. */
function isCompared(entry: string): boolean {
  return !entry.startsWith("workflow.step.started") && !entry.startsWith("run.recovered");
}

function payload(value: unknown): { encoding: string; data: Uint8Array } {
  return { encoding: "json", data: Buffer.from(JSON.stringify(value)) };
}
