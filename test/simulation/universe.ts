/** One simulated world from its seed to its end: a server, workers, clients and watchers, and what goes wrong. */

import { fromBinary } from "@bufbuild/protobuf";
import { WorkerServiceAttachRequestSchema, WorkerServiceAttachResponseSchema } from "@pawl/proto";
import { Worker } from "@pawl/worker";
import { Keys } from "../../server/src/auth/api-keys.ts";
import { everyoneIsOwner } from "../../server/src/auth/authenticate.ts";
import { createEngine } from "../../server/src/engine/engine.ts";
import type { Log, LogFields } from "../../server/src/lib/log.ts";
import { isTerminal } from "../../server/src/model/run.ts";
import { Calls } from "../../server/src/rpc/calls.ts";
import { nowhere } from "../../server/src/rpc/services/server-service.ts";
import { apiBindings } from "../../server/src/rpc/services.ts";
import { WorkerStreams } from "../../server/src/rpc/worker-stream.ts";
import { type Character, characterOf } from "./character.ts";
import { Clients, quiet } from "./clients.ts";
import { Disk } from "./disk.ts";
import { Faults, type Stage } from "./faults.ts";
import { Judge } from "./judge.ts";
import { Network } from "./network.ts";
import { type Effects, workflowsOf } from "./workload.ts";
import { asProcess, currentProcess, enter, SimProcess, World } from "./world.ts";

/** How long the world has to come to rest when nothing goes wrong any more, in ms of its time. */
const REST_MS = 240_000;
const AFTERMATH_MS = 4_000;
/** How often it may be set going again by commands that come late. */
const RESTS_MAX = 3;

export interface Outcome {
  readonly seed: number;
  readonly violations: readonly string[];
  readonly runs: number;
  readonly commands: number;
  readonly events: number;
  readonly faults: number;
  /** The same for the same seed: of everything that happened, in its order. */
  readonly digest: string;
}

/** Runs the world of a seed and returns what was wrong with it. */
export async function simulate(seed: number, trace?: (line: string) => void): Promise<Outcome> {
  const world = new World(seed, trace);
  enter(world);
  const disk = await Disk.open(world);
  const universe = new Universe(world, disk, characterOf(seed, world.chance));
  try {
    return await universe.live(seed);
  } finally {
    universe.end();
    await disk.close();
  }
}

class Universe implements Stage {
  readonly #world: World;
  readonly #character: Character;
  readonly #disk: Disk;
  readonly #network: Network;
  readonly #judge: Judge;
  readonly #workflows: ReturnType<typeof workflowsOf>;
  readonly #clients: Clients;
  readonly #faults: Faults;
  readonly workers: SimProcess[] = [];
  readonly servers = new Map<string, SimProcess>();
  readonly replicas: readonly string[];
  readonly #stops = new Map<SimProcess, () => Promise<void>>();
  #serversEver = 0;
  #workersEver = 0;
  #isCalm = false;

  constructor(world: World, disk: Disk, character: Character) {
    this.#world = world;
    this.#character = character;
    this.replicas = ["a", "b"].slice(0, character.servers);
    this.#disk = disk;
    const judge = new Judge(world, disk);
    const network = new Network(world, {
      toServer: (bytes, worker) => this.#heardFromWorker(bytes, worker),
      toWorker: (bytes, worker) => this.#heardFromServer(bytes, worker),
    });
    const effects: Effects = {
      begun: (runId, key, attempt) => {
        world.say(`${runId} begins ${key}, attempt ${attempt}`);
        judge.begun(runId, key, attempt);
      },
      took: (runId, signalId) => judge.took(runId, signalId),
      die: () => this.#faults.killWorker(currentProcess()),
    };
    const workflows = workflowsOf(effects);
    this.#judge = judge;
    this.#network = network;
    this.#workflows = workflows;
    this.#clients = new Clients({ world, character, disk, network, judge, workflows });
    this.#faults = new Faults({ world, disk, network, judge }, this.#clients, this, character);
  }

  async live(seed: number): Promise<Outcome> {
    const { chance } = this.#world;
    const { latencies, runs, hurryMs, troubleMs } = this.#character;
    this.#disk.latencyMs = chance.pick(latencies);
    for (const replica of this.replicas) this.startServer(replica);
    for (let i = 0; i < chance.int(1, 3); i += 1) this.startWorker();
    const count = chance.int(...runs);
    const clients = this.#clients;
    for (let i = 0; i < count; i += 1)
      clients.later(hurryMs * 0.8, () => clients.startRun(`r${i}`));
    clients.later(troubleMs / 4, () => this.#faults.disturb());
    await this.#pass(troubleMs);
    this.#world.say("calm");
    this.#isCalm = true;
    this.#faults.calm();
    for (let rests = 0; rests < RESTS_MAX; rests += 1) {
      await this.#pass(REST_MS, () => this.#atRest());
      // What is due for runs that have ended goes away by itself.
      await this.#pass(AFTERMATH_MS);
      // A command that was under way for long may have set a run going again that had ended.
      if (this.#atRest()) break;
    }
    await this.#judge.verdict(
      clients.runs.map(({ handle, program }) => ({ runId: handle.runId, program })),
    );
    const { digest } = this.#world;
    for (const { runId, entries } of this.#disk.records.values()) {
      digest.addText(runId);
      for (const { type, key, at } of entries) digest.addText(`${type} ${key} ${at}`);
    }
    for (const violation of this.#judge.violations) digest.addText(violation);
    return {
      seed,
      violations: this.#judge.violations,
      runs: this.#disk.records.size,
      commands: clients.commands,
      events: this.#world.steps,
      faults: this.#faults.count,
      digest: digest.toString(),
    };
  }

  /** Everybody dies: what is still going on in this process belongs to nobody any more. */
  end(): void {
    for (const process of [...this.servers.values(), this.#clients.process, ...this.workers])
      this.#world.kill(process);
  }

  /** Second by second, with a look at what must always hold in between. */
  async #pass(limitMs: number, isOver = () => false): Promise<void> {
    const endMs = this.#world.nowMs + limitMs;
    while (this.#world.nowMs < endMs && !isOver()) {
      await this.#world.run(1_000, () => false);
      this.#judge.look();
      if (this.#isCalm) asProcess(this.#clients.process, () => void this.#clients.helpOn());
    }
  }

  // ── who takes part ──

  startServer(replica: string): void {
    if (this.servers.has(replica)) return;
    this.#serversEver += 1;
    const process = new SimProcess(this.#world, `server ${this.#serversEver}${replica}`);
    this.servers.set(replica, process);
    asProcess(process, () => this.#serve(process, replica));
    this.#world.say(`${process.name} is up`);
  }

  #serve(process: SimProcess, replica: string): void {
    const log = this.#log(process);
    const clock = {
      now: () => Date.now() + this.#faults.skewMs,
      random: () => this.#world.chance.next(),
      steady: () => Date.now(),
    };
    const store = this.#disk.store(this.replicas.length > 1);
    const engine = createEngine({ store, replicaId: replica, log, clock });
    const streams = new WorkerStreams();
    const keys = new Keys({ store, clock, changed: () => Promise.resolve() });
    const bindings = apiBindings({ engine, keys, streams, log, locate: nowhere });
    const byMethod = new Map(bindings.map((binding) => [binding.method, binding]));
    const calls = new Calls(everyoneIsOwner);
    const endpoint = { process, bindings: byMethod, calls, log };
    this.#network.servers.add(endpoint);
    // As server/src/app.ts stops it.
    this.#stops.set(process, async () => {
      engine.drain();
      streams.pauseAll();
      calls.stop();
      this.#network.servers.delete(endpoint);
      await engine.close();
      await streams.endAll();
    });
  }

  killServer(replica: string): void {
    const process = this.servers.get(replica);
    if (process === undefined) return;
    this.#world.say(`${process.name} is killed`);
    this.#end(replica, process);
  }

  drainServer(replica: string, patienceMs: number): void {
    const process = this.servers.get(replica);
    const stop = process === undefined ? undefined : this.#stops.get(process);
    if (process === undefined || stop === undefined) return;
    this.#world.say(`${process.name} stops`);
    this.#judge.disturbed();
    const end = () => this.#end(replica, process);
    asProcess(process, () => void stop().finally(end));
    this.#world.schedule(patienceMs, end, this.#clients.process);
  }

  #end(replica: string, process: SimProcess): void {
    if (this.servers.get(replica) !== process) return;
    this.servers.delete(replica);
    this.#judge.disturbed();
    this.#world.say(`${process.name} is gone`);
    this.#world.kill(process);
    this.#disk.crash(process);
    this.#network.cutOff(process);
  }

  #log(process: SimProcess): Log {
    const write = (level: string) => (event: string, fields?: LogFields) => {
      this.#world.say(`${process.name} ${level} ${event} ${describe(fields)}`);
      if (event === "rpc.failed") this.#judge.found(`INTERNAL: ${describe(fields)}`);
    };
    const debug = this.#world.isTraced ? write("debug") : quiet.debug;
    return { debugging: false, debug, info: debug, warn: write("warn"), error: write("error") };
  }

  startWorker(): void {
    this.#workersEver += 1;
    const process = new SimProcess(this.#world, `worker ${this.#workersEver}`);
    this.workers.push(process);
    const mode = this.#world.chance.hits(0.2) ? "poll" : "stream";
    asProcess(process, () => {
      const worker = new Worker({
        workflows: [this.#workflows.plain, this.#workflows.narrow],
        transport: this.#network.transport(process),
        slots: this.#world.chance.pick([2, 5, 50]),
        workerId: process.name,
        logger: this.#workerLogger(process),
        mode,
      });
      worker.start().catch((error: unknown) => this.#judge.found(`${process.name}: ${error}`));
    });
    this.#world.say(`${process.name} (${mode}) is up`);
  }

  #workerLogger(process: SimProcess) {
    const write = (message: string, fields?: object) => {
      if (message === "live output was given up") this.#judge.gaveUpOutput();
      if (this.#world.isTraced)
        this.#world.say(`${process.name} ${message} ${JSON.stringify(fields ?? {})}`);
    };
    return { debug: write, info: write, warn: write, error: write };
  }

  #atRest(): boolean {
    return (
      this.#disk.records.size >= this.#clients.runs.length &&
      [...this.#disk.records.values()].every(({ header }) => isTerminal(header.status)) &&
      this.#judge.watchersDone
    );
  }

  // ── what passes by ──

  #heardFromWorker(bytes: Uint8Array, worker: SimProcess): void {
    for (const frame of fromBinary(WorkerServiceAttachRequestSchema, bytes).frames) {
      this.#judge.asked(worker, frame);
      this.#clients.coincide(frame);
    }
  }

  #heardFromServer(bytes: Uint8Array, worker: SimProcess): void {
    for (const frame of fromBinary(WorkerServiceAttachResponseSchema, bytes).frames)
      this.#judge.heard(worker, frame);
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
