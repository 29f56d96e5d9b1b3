/** One simulated world from its seed to its end: a server, workers, clients and watchers, and what goes wrong. */
import { create, fromBinary, toBinary } from "@bufbuild/protobuf";
import {
  SendSignalRequestSchema,
  SessionRequestSchema,
  SessionResponseSchema,
  SignalService,
  StepKind,
  type StepStartedRequest,
  type WorkerFrame,
} from "@pawl/proto";
import { Client, type RunEvent, type RunHandle, Worker } from "@pawl/worker";
import { createEngine } from "../../server/src/engine/engine.ts";
import type { Log, LogFields } from "../../server/src/lib/log.ts";
import { isTerminal } from "../../server/src/model/run.ts";
import { Calls } from "../../server/src/rpc/calls.ts";
import { apiBindings } from "../../server/src/rpc/services.ts";
import { Sessions } from "../../server/src/rpc/session.ts";
import { Disk } from "./disk.ts";
import { Judge } from "./judge.ts";
import { Network } from "./network.ts";
import { type Effects, type Program, randomProgram, waitsOf, workflowsOf } from "./workload.ts";
import { asProcess, type Chance, currentProcess, enter, SimProcess, World } from "./world.ts";

/** How long things go wrong, and how long the world then has to come to rest, in ms of its time. */
const TROUBLE_MS = 30_000;
const REST_MS = 240_000;

export interface Outcome {
  readonly seed: number;
  readonly violations: readonly string[];
  readonly runs: number;
  readonly commands: number;
  readonly events: number;
  readonly faults: number;
}

const ignore = () => undefined;
const quiet = { debug: ignore, info: ignore, warn: ignore, error: ignore };

/** Runs the world of a seed and returns what was wrong with it. */
export async function simulate(seed: number, trace?: (line: string) => void): Promise<Outcome> {
  const world = new World(seed);
  enter(world);
  const disk = await Disk.open(world);
  const universe = new Universe(world, disk, trace);
  try {
    return await universe.live(seed);
  } finally {
    universe.end();
    await disk.close();
  }
}

interface Started {
  readonly handle: RunHandle;
  readonly program: Program;
}

class Universe {
  readonly #world: World;
  readonly #disk: Disk;
  readonly #chance: Chance;
  readonly #network: Network;
  readonly #judge: Judge;
  readonly #trace: ((line: string) => void) | undefined;
  readonly #client = new SimProcess("client");
  readonly #workflows: ReturnType<typeof workflowsOf>;
  readonly #workers: SimProcess[] = [];
  readonly #runs: Started[] = [];
  #server: SimProcess | undefined;
  #servers = 0;
  #workersEver = 0;
  #commands = 0;
  #faults = 0;
  #skewMs = 0;
  #isTroubled = true;

  constructor(world: World, disk: Disk, trace: ((line: string) => void) | undefined) {
    this.#world = world;
    this.#disk = disk;
    this.#chance = world.chance;
    this.#trace = trace;
    this.#judge = new Judge(world, disk);
    this.#network = new Network(world, {
      toServer: (bytes, worker) => this.#heardFromWorker(bytes, worker),
      toWorker: (bytes, worker) => this.#heardFromServer(bytes, worker),
    });
    const effects: Effects = {
      begun: (runId, key, attempt) => this.#judge.begun(runId, key, attempt),
      ended: () => undefined,
    };
    this.#workflows = workflowsOf(effects);
  }

  async live(seed: number): Promise<Outcome> {
    const { chance } = this.#world;
    this.#disk.latencyMs = chance.pick([
      [0.2, 5],
      [2, 30],
      [10, 200],
    ] as const);
    this.#startServer();
    for (let i = 0; i < chance.int(1, 3); i += 1) this.#startWorker();
    const count = chance.int(6, 20);
    for (let i = 0; i < count; i += 1) this.#later(12_000, () => this.#startRun(`r${i}`));
    this.#later(TROUBLE_MS / 4, () => this.#disturb());
    await this.#pass(TROUBLE_MS);
    this.#calm();
    await this.#pass(REST_MS, () => this.#atRest());
    await this.#judge.verdict(
      this.#runs.map(({ handle, program }) => ({ runId: handle.runId, program })),
    );
    return {
      seed,
      violations: this.#judge.violations,
      runs: this.#disk.records.size,
      commands: this.#commands,
      events: this.#world.steps,
      faults: this.#faults,
    };
  }

  /** Everybody dies: what is still going on in this process belongs to nobody any more. */
  end(): void {
    for (const process of [this.#server, this.#client, ...this.#workers])
      if (process !== undefined) this.#world.kill(process);
  }

  /** Second by second, with a look at what must always hold in between. */
  async #pass(limitMs: number, isOver = () => false): Promise<void> {
    const endMs = this.#world.nowMs + limitMs;
    while (this.#world.nowMs < endMs && !isOver()) {
      await this.#world.run(1_000, () => false);
      this.#judge.look();
      if (!this.#isTroubled) asProcess(this.#client, () => void this.#helpOn());
    }
  }

  /** Sometime within so many ms. */
  #later(withinMs: number, run: () => void): void {
    this.#world.schedule(this.#chance.next() * withinMs, run, this.#client);
  }

  // ── who takes part ──

  #startServer(): void {
    this.#servers += 1;
    const process = new SimProcess(`server ${this.#servers}`);
    this.#server = process;
    asProcess(process, () => {
      const log = this.#log(process);
      const clock = {
        now: () => Date.now() + this.#skewMs,
        random: () => this.#chance.next(),
        steady: () => Date.now(),
      };
      const engine = createEngine({ store: this.#disk.store(), replicaId: "sim", log, clock });
      const bindings = apiBindings({ engine, sessions: new Sessions(), log });
      const byMethod = new Map(bindings.map((binding) => [binding.method, binding]));
      this.#network.server = { process, bindings: byMethod, calls: new Calls(), log };
    });
    this.#say(`${process.name} is up`);
  }

  #killServer(): void {
    const server = this.#server;
    if (server === undefined) return;
    this.#say(`${server.name} is killed`);
    this.#judge.disturbed();
    this.#world.kill(server);
    this.#disk.crash(server);
    this.#network.server = undefined;
    this.#network.cut();
    this.#server = undefined;
  }

  #log(process: SimProcess): Log {
    const write = (level: string) => (event: string, fields?: LogFields) => {
      this.#say(`${process.name} ${level} ${event} ${describe(fields)}`);
      if (event === "rpc.failed") this.#judge.found(`INTERNAL: ${describe(fields)}`);
    };
    const debug = this.#trace === undefined ? ignore : write("debug");
    return { debugging: false, debug, info: debug, warn: write("warn"), error: write("error") };
  }

  #startWorker(): void {
    this.#workersEver += 1;
    const process = new SimProcess(`worker ${this.#workersEver}`);
    this.#workers.push(process);
    const mode = this.#chance.hits(0.2) ? "poll" : "session";
    asProcess(process, () => {
      const worker = new Worker({
        workflows: [this.#workflows.plain, this.#workflows.narrow],
        transport: this.#network.transport(process),
        slots: this.#chance.pick([2, 5, 50]),
        workerId: process.name,
        logger: this.#trace === undefined ? quiet : this.#workerLogger(process),
        mode,
      });
      worker.start().catch((error: unknown) => this.#judge.found(`${process.name}: ${error}`));
    });
    this.#say(`${process.name} (${mode}) is up`);
  }

  #workerLogger(process: SimProcess) {
    const write = (message: string, fields?: object) =>
      this.#say(`${process.name} ${message} ${JSON.stringify(fields ?? {})}`);
    return { debug: write, info: write, warn: write, error: write };
  }

  // ── what clients do ──

  #startRun(runId: string): void {
    const program = randomProgram(this.#chance);
    const flow = this.#chance.hits(0.2) ? this.#workflows.narrow : this.#workflows.plain;
    const client = this.#newClient();
    this.#say(`${runId}: ${JSON.stringify(program)}`);
    this.#command(async () => {
      const handle = await client.start(flow, program, { runId });
      this.#judge.acknowledged(runId, "its start", (record) => record !== undefined);
      this.#runs.push({ handle, program });
      this.#send(handle, program);
      this.#steer(handle);
    });
    for (let i = this.#chance.int(0, 2); i > 0; i -= 1)
      this.#later(6_000, () => void this.#watch(client.handle(runId)));
  }

  #newClient(): Client {
    return new Client({
      transport: this.#network.transport(this.#client),
      retryFor: "1 h",
      logger: quiet,
    });
  }

  /** Signals and answers, at times of their own. */
  #send(handle: RunHandle, program: Program): void {
    const { signals, questions } = waitsOf(program);
    for (const name of signals)
      this.#later(15_000, () => this.#signal(handle, name, `early ${name}`));
    for (const question of questions)
      this.#later(15_000, () => this.#answer(handle.runId, `user:${question}`));
  }

  #signal(handle: RunHandle, name: string, signalId: string): void {
    this.#command(async () => {
      await handle.signal(name, `value of ${name}`, { signalId });
      this.#judge.acknowledged(
        handle.runId,
        `the signal ${signalId}`,
        (record) =>
          record?.entries.some(
            (e) => e.type === "workflow.signal.received" && e.meta.signalId === signalId,
          ) === true,
      );
    });
  }

  #answer(runId: string, key: string): void {
    this.#command(async () => {
      await this.#newClient().answer(`${runId}#${key}`, `answer to ${key}`, { actor: "ada" });
      this.#judge.acknowledged(
        runId,
        `the answer to ${key}`,
        (record) =>
          record?.entries.some((e) => e.type === "workflow.user.answered" && e.key === key) ===
          true,
      );
    });
  }

  #steer(handle: RunHandle): void {
    const { runId } = handle;
    if (this.#chance.hits(0.2)) {
      this.#later(15_000, () =>
        this.#command(async () => {
          await handle.cancel({
            reason: "the client wants it so",
            grace: this.#chance.pick(["1 s", "10 s", "30 s"]),
          });
          this.#judge.acknowledged(
            runId,
            "its cancel",
            (record) =>
              record?.entries.some(
                (e) => e.type === "run.cancelling" || e.type === "run.cancelled",
              ) === true,
          );
        }),
      );
    }
    if (this.#chance.hits(0.15)) {
      this.#later(10_000, () => this.#command(async () => void (await handle.pause())));
      this.#later(18_000, () => this.#command(async () => void (await handle.resume())));
    }
    if (this.#chance.hits(0.2))
      this.#later(25_000, () => this.#command(async () => void (await handle.retry())));
  }

  /** A command whose refusal is the client's own business. */
  #command(run: () => Promise<void>): void {
    this.#commands += 1;
    run().catch((error: unknown) => {
      const reason = error instanceof Error && "reason" in error ? String(error.reason) : "";
      if (reason === "" || reason === "INTERNAL")
        this.#judge.found(`a command failed: ${String(error)}`);
    });
  }

  /** Watches to the end, or for a while, and then comes back where it was. */
  async #watch(handle: RunHandle): Promise<void> {
    const view = this.#judge.watcher(handle.runId);
    let afterCursor = "";
    for (let visit = 0; visit < 50; visit += 1) {
      const leave = new AbortController();
      const patienceMs = this.#chance.hits(0.5) ? 600_000 : this.#chance.int(50, 5_000);
      const timer = setTimeout(() => leave.abort(), patienceMs);
      const options = {
        waitForStart: true,
        abortSignal: leave.signal,
        ...(afterCursor === "" ? {} : { afterCursor }),
      };
      let last: RunEvent | undefined;
      for await (const event of handle.watch(options)) {
        view.saw(event);
        this.#say(
          `watch ${visit} ${handle.runId} ${event.type} ${event.stepKey} ${event.entry?.seq ?? ""} ${event.cursor}`,
        );
        afterCursor = event.cursor;
        last = event;
      }
      clearTimeout(timer);
      if (!leave.signal.aborted) {
        view.ended(last);
        return;
      }
    }
  }

  /** In the end everything that is waited for comes, and whatever stands still is sent on its way. */
  async #helpOn(): Promise<void> {
    for (const record of [...this.#disk.records.values()]) {
      const { header, runId } = record;
      if (isTerminal(header.state)) continue;
      const handle = this.#newClient().handle(runId);
      if (header.state === "PAUSED") {
        const wish = header.reason === "PAUSED_BY_OPERATOR" ? "resume" : "retry";
        if (header.reason === "NON_DETERMINISM")
          this.#judge.found(`${runId}: its code does not fit its journal`);
        else this.#command(async () => void (await handle[wish]()));
      }
      for (const { key, meta } of this.#judge.openWaits(record)) {
        if (meta.kind === "signal") {
          const name = meta.signalName ?? "";
          this.#signal(handle, name, `late ${key} ${Math.floor(this.#world.nowMs / 20_000)}`);
        }
        if (meta.kind === "user") this.#answer(runId, key);
      }
    }
  }

  // ── what goes wrong ──

  #disturb(): void {
    if (!this.#isTroubled) return;
    this.#faults += 1;
    this.#judge.disturbed();
    const { chance } = this.#world;
    const dice = chance.next();
    if (dice < 0.22) this.#killWorker();
    else if (dice < 0.44) this.#stopWorker();
    else if (dice < 0.6 && this.#workers.length > 0) this.#network.cut(chance.pick(this.#workers));
    else if (dice < 0.7) this.#network.cut();
    else if (dice < 0.82) this.#restartServer();
    else if (dice < 0.9) this.#breakDisk();
    else if (dice < 0.95) this.#skewMs += chance.int(-20_000, 20_000);
    else this.#stopServer();
    this.#later(TROUBLE_MS / 6, () => this.#disturb());
  }

  #killWorker(): void {
    const [process] = this.#workers.splice(this.#chance.int(0, this.#workers.length - 1), 1);
    if (process === undefined) return;
    this.#say(`${process.name} is killed`);
    this.#world.kill(process);
    this.#network.cut(process);
    this.#later(this.#chance.pick([10, 3_000, 12_000]), () => this.#startWorker());
  }

  #stopWorker(): void {
    if (this.#workers.length === 0) return;
    const process = this.#chance.pick(this.#workers);
    this.#say(`${process.name} stands still`);
    this.#world.stop(process);
    // Others go on with its runs meanwhile, at times after a restart of the server.
    if (this.#chance.hits(0.5)) this.#restartServer();
    if (this.#chance.hits(0.7)) this.#startWorker();
    const forMs = this.#chance.pick([300, 3_000, 6_000, 20_000]) * this.#chance.next();
    this.#world.schedule(
      forMs,
      () => {
        this.#say(`${process.name} goes on`);
        this.#judge.disturbed();
        this.#world.resume(process);
      },
      this.#client,
    );
  }

  #restartServer(): void {
    this.#killServer();
    const up = () => {
      this.#judge.disturbed();
      if (this.#server === undefined) this.#startServer();
    };
    this.#world.schedule(
      this.#chance.next() * this.#chance.pick([20, 2_000, 6_000]),
      up,
      this.#client,
    );
  }

  #stopServer(): void {
    const process = this.#server;
    if (process === undefined) return;
    this.#say(`${process.name} stands still`);
    this.#world.stop(process);
    this.#world.schedule(
      this.#chance.next() * 4_000,
      () => {
        this.#judge.disturbed();
        this.#world.resume(process);
      },
      this.#client,
    );
  }

  #breakDisk(): void {
    this.#say("the disk has trouble");
    const disk = this.#disk;
    if (this.#chance.hits(0.5)) disk.isAway = true;
    else disk.failing = 0.2;
    this.#world.schedule(
      this.#chance.next() * 3_000,
      () => {
        this.#judge.disturbed();
        disk.isAway = false;
        disk.failing = 0;
      },
      this.#client,
    );
  }

  /** Nothing goes wrong any more. */
  #calm(): void {
    this.#say("calm");
    this.#isTroubled = false;
    this.#network.isLossy = false;
    this.#disk.isAway = false;
    this.#disk.failing = 0;
    this.#judge.disturbed();
    for (const process of this.#workers) this.#world.resume(process);
    if (this.#server !== undefined) this.#world.resume(this.#server);
    else this.#startServer();
    this.#startWorker();
  }

  #atRest(): boolean {
    return (
      this.#disk.records.size >= this.#runs.length &&
      [...this.#disk.records.values()].every(({ header }) => isTerminal(header.state)) &&
      this.#judge.watchersDone
    );
  }

  // ── what passes by ──

  #heardFromWorker(bytes: Uint8Array, worker: SimProcess): void {
    for (const frame of fromBinary(SessionRequestSchema, bytes).frames) {
      this.#judge.asked(worker, frame);
      this.#coincide(frame);
    }
  }

  /** Sends what a wait waits for in the very moment of its registration, so that both are in one batch. */
  #coincide({ body }: WorkerFrame): void {
    if (body.case !== "stepStarted" || !this.#chance.hits(0.3)) return;
    const started: StepStartedRequest = body.value;
    const { runId, stepKey, wait } = started;
    if (started.kind === StepKind.SIGNAL && wait !== undefined)
      this.#signalNow(runId, wait.signalName, `now ${stepKey}`);
  }

  #signalNow(runId: string, name: string, signalId: string): void {
    const { server } = this.#network;
    const binding = server?.bindings.get(SignalService.method.sendSignal);
    if (server === undefined || binding?.kind !== "unary") return;
    const payload = {
      data: new TextEncoder().encode(JSON.stringify(`value of ${name}`)),
      encoding: "json",
    };
    const request = create(SendSignalRequestSchema, { runId, name, signalId, payload });
    const call = server.calls.begin();
    binding
      .invoke(toBinary(SendSignalRequestSchema, request), call.context)
      .then(call.done, call.done);
  }

  #heardFromServer(bytes: Uint8Array, worker: SimProcess): void {
    for (const frame of fromBinary(SessionResponseSchema, bytes).frames)
      this.#judge.heard(worker, frame);
  }

  #say(line: string): void {
    this.#trace?.(
      `${(this.#world.nowMs / 1_000).toFixed(4)} ${currentProcess()?.name ?? ""}| ${line}`,
    );
  }
}

function describe(fields: LogFields | undefined): string {
  if (fields === undefined) return "";
  return Object.entries(fields)
    .map(
      ([name, value]) =>
        `${name}=${value instanceof Error ? (value.stack ?? value.message) : String(value)}`,
    )
    .join(" ");
}
