/** Plays programs on real processes while things go wrong, and judges what came of them. */
import { randomUUID } from "node:crypto";
import { readFile } from "node:fs/promises";
import { join } from "node:path";
import {
  type JournalEntry,
  PayloadService,
  RunService,
  RunStatus,
  StatusReason,
  WaitKind,
  WaitService,
} from "@pawl/proto";
import { Client, createGrpcTransport, type RunHandle } from "@pawl/worker";
import { Random } from "../chaos/random.ts";
import type { Sdk } from "../conformance/sdks.ts";
import { connect, rpc } from "../harness/protocol.ts";
import { randomFaults, randomSpec } from "./generator.ts";
import { judge } from "./judge.ts";
import type { Player, Processes } from "./processes.ts";
import { type Block, blockOf, type Deed, type Fault, isRecord, type Spec } from "./program.ts";
import { recordedValue } from "./recorded-values.ts";
import { type Replayed, replayAll } from "./replays.ts";
import { StreamWatch } from "./streams.ts";

/** After which a run that has not ended hangs. A lease that is not given back lasts 15 s. */
const PATIENCE_MS = 45_000;
const WATCH_MS = 5_000;

export interface RoundPlan {
  readonly specs: readonly Spec[];
  readonly modes: readonly string[];
  readonly faults: readonly Fault[];
}

export interface Failure {
  readonly spec: Spec;
  readonly sdk: string;
  readonly mode: string;
  readonly problems: readonly string[];
  readonly journal: readonly string[];
}

/** The seed says it all. `allPoll`: all workers poll, and not only some. */
export function planRound(
  seed: number,
  sdks: readonly Sdk[],
  size: number,
  allPoll = false,
): RoundPlan {
  const random = new Random(seed);
  const modes = sdks.map(() => (random.chance(0.25) || allPoll ? "poll" : "stream"));
  const specs = Array.from({ length: size }, () => randomSpec(random));
  return { specs, modes, faults: randomFaults(random, !modes.includes("poll")) };
}

/** Each program in each SDK. */
export async function playRound(
  plan: RoundPlan,
  sdks: readonly Sdk[],
  processes: Processes,
  options: { readonly replay: boolean },
): Promise<Failure[]> {
  const players = sdks.map((sdk, i) => ({ sdk, mode: plan.modes[i] ?? "stream" }));
  await processes.ready(players);
  const client = new Client({ transport: createGrpcTransport(processes.url) });
  const direct = connect(processes.url.replace(/^https?:\/\//, ""));
  try {
    const plays = players.flatMap((player) =>
      plan.specs.map((spec) => new Play(spec, player, { client, direct, processes })),
    );
    await Promise.all([...plays.map((play) => play.run()), doFaults(plan.faults, processes)]);
    const effects = await processes.effects();
    const harmful = plan.faults.length;
    const runs = options.replay ? plays.flatMap(({ replayable }) => replayable) : [];
    const replays = await replayAll(runs, sdks, processes.folder);
    const failures: Failure[] = [];
    for (const play of plays) {
      const problems = await play.judge(effects, harmful, replays);
      if (problems.length > 0) failures.push(play.failure(problems));
    }
    return failures;
  } finally {
    client.close();
    direct.close();
  }
}

async function doFaults(faults: readonly Fault[], processes: Processes): Promise<void> {
  const begin = performance.now();
  for (const { atMs, what, forMs } of faults) {
    await sleep(Math.max(0, atMs - (performance.now() - begin)));
    if (what === "killWorkers") await processes.killWorkers();
    else if (what === "stopWorkers") await processes.replaceWorkers(0);
    else if (what === "deploy") await processes.replaceWorkers(1);
    else if (what === "freezeWorkers") await processes.freezeWorkers(forMs);
    else await processes.killServer();
  }
}

interface Connections {
  readonly client: Client;
  readonly direct: ReturnType<typeof connect>;
  readonly processes: Processes;
}

/** One run of a program, and of its children. */
class Play {
  readonly spec: Spec;
  readonly #player: Player;
  readonly #connections: Connections;
  readonly #runId = `g-${randomUUID()}`;
  readonly #problems: string[] = [];
  #retries: number;
  /** Of the run and its children, each with its program. */
  readonly #journals = new Map<string, { journal: JournalEntry[]; programs: readonly Block[] }>();

  constructor(spec: Spec, player: Player, connections: Connections) {
    this.spec = spec;
    this.#retries = spec.retries ?? 0;
    this.#player = player;
    this.#connections = connections;
  }

  async run(): Promise<void> {
    const { client, processes } = this.#connections;
    const { programs, deeds, answers } = this.spec;
    const options = { runId: this.#runId, queue: processes.queue(this.#player) };
    const handle = await persistently(() => client.start("conformance", { programs }, options));
    const watch = new StreamWatch(handle);
    const begin = performance.now();
    const over = new AbortController();
    const doing = Promise.all([
      ...deeds.filter((deed) => !("do" in deed)).map((deed) => this.#do(deed, handle, over.signal)),
      this.#control(deeds, handle, over.signal),
      Object.keys(answers).length > 0 ? this.#answer(over.signal) : undefined,
    ]);
    const isGoing = async () => !isOver((await this.#helpOn(handle)).status);
    while ((await isGoing()) && performance.now() - begin < PATIENCE_MS) await sleep(30);
    if (!isOver((await this.#state()).status)) await this.#hangs();
    over.abort();
    await doing;
    this.#problems.push(...(await watch.end(WATCH_MS)));
    await this.#read(this.#runId, programs);
  }

  /** Retries the run if it waits for a decision, or has failed and is to be retried. */
  async #helpOn(handle: RunHandle) {
    const run = await this.#state();
    const isFailed = run.status === RunStatus.FAILED;
    const isUndecided =
      run.status === RunStatus.PAUSED && run.statusReason === StatusReason.UNKNOWN_OUTCOME;
    if (isFailed ? this.#retries === 0 : !isUndecided) return run;
    if (isFailed) this.#retries -= 1;
    // One that was compensated is refused.
    await handle.retry().catch(() => undefined);
    return await this.#state();
  }

  async #state() {
    const { direct } = this.#connections;
    const request = { runId: this.#runId, timeout: { seconds: 2n } };
    const { run } = await persistently(() => rpc(direct, RunService.method.waitRun, request));
    if (run === undefined) throw new Error("The server returned no run.");
    return run;
  }

  /** A child that is cancelled with its parent ends a little later. */
  async #hasEnded(runId: string): Promise<boolean> {
    const { direct } = this.#connections;
    for (const begin = performance.now(); performance.now() - begin < PATIENCE_MS; ) {
      const request = { runId, timeout: { seconds: 2n } };
      const { run } = await persistently(() => rpc(direct, RunService.method.waitRun, request));
      if (run !== undefined && isOver(run.status)) return true;
    }
    return false;
  }

  async #hangs(): Promise<void> {
    const { direct } = this.#connections;
    const { status, statusReason: stateReason } = await this.#state();
    this.#problems.push(`it hangs: ${RunStatus[status]} ${stateReason}`);
    const request = { runId: this.#runId, force: true };
    await rpc(direct, RunService.method.cancelRun, request).catch(() => undefined);
  }

  /** One after another: where the server is away, a pause must not come after what resumes the run. */
  async #control(deeds: readonly Deed[], handle: RunHandle, over: AbortSignal): Promise<void> {
    const begin = performance.now();
    for (const deed of deeds.toSorted((a, b) => a.atMs - b.atMs)) {
      const atMs = Math.max(0, deed.atMs - (performance.now() - begin));
      if ("do" in deed) await this.#do({ ...deed, atMs }, handle, over);
    }
  }

  async #do(deed: Deed, handle: RunHandle, over: AbortSignal): Promise<void> {
    await sleep(deed.atMs, over);
    const act = async (): Promise<unknown> => {
      if ("signal" in deed) {
        return await handle.signal(deed.signal, deed.value, { signalId: deed.id });
      }
      if ("post" in deed) return await this.#post(deed.post, deed.value, over);
      if (deed.do === "cancel") return await handle.cancel();
      return deed.do === "pause" ? await handle.pause() : await handle.resume();
    };
    // What comes too late is refused.
    if (!over.aborted) await act().catch(() => undefined);
  }

  /** Calls back as soon as there is a URL, until it is taken or refused. */
  async #post(callback: string, value: unknown, over: AbortSignal): Promise<void> {
    const file = join(this.#connections.processes.folder, `${this.#runId}.callback.${callback}`);
    const request = {
      method: "POST",
      headers: { "content-type": "application/json" },
      body: JSON.stringify(value),
    };
    while (!over.aborted) {
      const urls = new Set((await readFile(file, "utf8").catch(() => "")).trim().split("\n"));
      if (urls.size > 1) this.#problems.push(`a replay got another URL: ${[...urls].join(", ")}`);
      const [url = ""] = urls;
      const response = url === "" ? undefined : await fetch(url, request).catch(() => undefined);
      await response?.text();
      if (response !== undefined && response.status < 500) return;
      await sleep(60, over);
    }
  }

  /** Answers each question as soon as it is seen, and once more. */
  async #answer(over: AbortSignal): Promise<void> {
    const { direct } = this.#connections;
    const request = { runId: this.#runId, kinds: [WaitKind.USER] };
    while (!over.aborted) {
      const { waits = [] } = await rpc(direct, WaitService.method.listWaits, request).catch(() => ({
        waits: [],
      }));
      for (const { waitId, question } of waits) {
        const data = Buffer.from(JSON.stringify(this.spec.answers[question?.prompt ?? ""] ?? null));
        const answer = {
          waitId,
          resolutionId: waitId.slice(-100),
          actor: "ada",
          response: { case: "answer", value: { encoding: "json", data } },
        } as const;
        for (let i = 0; i < 2; i += 1) {
          await rpc(direct, WaitService.method.answerWait, answer).catch(() => undefined);
        }
      }
      await sleep(60, over);
    }
  }

  async #read(runId: string, programs?: readonly Block[]): Promise<void> {
    const { direct } = this.#connections;
    const journal: JournalEntry[] = [];
    for (let more = true; more; ) {
      const request = { runId, afterSeq: journal.length };
      const page = await persistently(() => rpc(direct, RunService.method.getJournal, request));
      journal.push(...page.entries);
      more = page.more && page.entries.length > 0;
    }
    for (const { payload } of journal) await makeWhole(direct, payload);
    const sent = () => programsIn(recordedValue(journal[0]?.payload));
    this.#journals.set(runId, { journal, programs: programs ?? sent() });
    for (const child of new Set(journal.map(({ details }) => details.child_run_id ?? ""))) {
      if (child === "") continue;
      if (!(await this.#hasEnded(child))) this.#problems.push("a child hangs");
      await this.#read(child);
    }
  }

  /** Those that a replay can be compared with: it does not cancel. */
  get replayable(): readonly { readonly runId: string; readonly journal: JournalEntry[] }[] {
    return [...this.#journals]
      .map(([runId, { journal }]) => ({ runId, journal }))
      .filter(({ journal }) => {
        const ended = /^run\.(completed|failed)$/.test(journal.at(-1)?.type ?? "");
        return ended && !journal.some(({ type }) => type === "run.cancelling");
      });
  }

  async judge(
    effects: ReadonlyMap<string, ReadonlyMap<string, readonly number[]>>,
    faults: number,
    replays: readonly Replayed[],
  ): Promise<string[]> {
    const problems = [...this.#problems];
    for (const [runId, { journal, programs }] of this.#journals) {
      const which = runId === this.#runId ? "" : "in a child: ";
      const others = this.#journals;
      const played = { runId, journal, effects: effects.get(runId) ?? new Map(), faults, others };
      problems.push(...(await judge(programs, played)).map((problem) => which + problem));
      // A deploy has changed the code that is replayed.
      if (programs.length > 1) continue;
      for (const replay of replays.filter((one) => one.runId === runId)) {
        problems.push(`${which}replayed by ${replay.sdk}: ${replay.problem}`);
      }
    }
    return problems;
  }

  failure(problems: readonly string[]): Failure {
    const { sdk, mode } = this.#player;
    const journal = [...this.#journals.values()].flatMap((one) => one.journal.map(line));
    return { spec: this.spec, sdk: sdk.name, mode, problems, journal };
  }
}

/** A large payload is kept apart. */
async function makeWhole(direct: Connections["direct"], payload: JournalEntry["payload"]) {
  if (payload?.ref === undefined) return;
  const { sha256, size } = payload.ref;
  const pieces: Uint8Array[] = [];
  for (let offset = 0; offset < size; ) {
    const request = { sha256, offset };
    const { data } = await persistently(() =>
      rpc(direct, PayloadService.method.getPayload, request),
    );
    pieces.push(data);
    offset += data.byteLength;
  }
  payload.data = Buffer.concat(pieces);
  delete payload.ref;
}

function programsIn(input: unknown): readonly Block[] {
  return isRecord(input) && Array.isArray(input.programs) ? input.programs.map(blockOf) : [];
}

function line({ seq, type, stepKey, outcome, attempt, failure }: JournalEntry): string {
  const why = failure === undefined ? "" : `${failure.type}: ${failure.message}`;
  return [seq, type, stepKey, outcome, attempt > 1 ? attempt : "", why]
    .filter((part) => part !== "")
    .join(" ");
}

/** Again, while the server is away. */
async function persistently<T>(call: () => Promise<T>): Promise<T> {
  for (const begin = performance.now(); ; ) {
    try {
      return await call();
    } catch (error) {
      if (performance.now() - begin > PATIENCE_MS) throw error;
      await sleep(50);
    }
  }
}

function isOver(status: RunStatus): boolean {
  return [RunStatus.COMPLETED, RunStatus.FAILED, RunStatus.CANCELLED].includes(status);
}

function sleep(ms: number, signal?: AbortSignal): Promise<void> {
  return new Promise((resolve) => {
    const timer = setTimeout(resolve, ms);
    signal?.addEventListener("abort", () => {
      clearTimeout(timer);
      resolve();
    });
  });
}
