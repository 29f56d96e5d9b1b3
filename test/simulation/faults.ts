/** What goes wrong in the simulated world. */
import { BOUNDS } from "../../server/src/model/bounds.ts";
import { type Character, draw, type FaultKind } from "./character.ts";
import type { Clients } from "./clients.ts";
import { type Disk, LOST_WAKES } from "./disk.ts";
import type { Judge } from "./judge.ts";
import type { Network } from "./network.ts";
import type { Chance, SimProcess, World } from "./world.ts";

/** The processes that faults befall, and how they are started again. */
export interface Stage {
  readonly workers: SimProcess[];
  /** The servers that are up, by the names of their replicas. */
  readonly servers: ReadonlyMap<string, SimProcess>;
  readonly replicas: readonly string[];
  startWorker(): void;
  startServer(replica: string): void;
  killServer(replica: string): void;
  /** Lets it finish what it has begun, for that long at most. */
  drainServer(replica: string, patienceMs: number): void;
}

export class Faults {
  readonly #world: World;
  readonly #disk: Disk;
  readonly #network: Network;
  readonly #judge: Judge;
  readonly #clients: Clients;
  readonly #stage: Stage;
  readonly #chance: Chance;
  readonly #character: Character;
  #isOver = false;
  count = 0;
  /** How far the server's clock is off. */
  skewMs = 0;

  constructor(
    { world, disk, network, judge }: { world: World; disk: Disk; network: Network; judge: Judge },
    clients: Clients,
    stage: Stage,
    character: Character,
  ) {
    this.#world = world;
    this.#disk = disk;
    this.#network = network;
    this.#judge = judge;
    this.#clients = clients;
    this.#stage = stage;
    this.#chance = world.chance;
    this.#character = character;
  }

  /** Nothing goes wrong any more, and whatever stood still continues. */
  calm(): void {
    this.#isOver = true;
    this.#network.isLossy = false;
    this.#disk.isAway = false;
    this.#disk.failing = 0;
    this.#judge.disturbed();
    this.#disk.deafness = 0;
    const { workers, servers, replicas } = this.#stage;
    for (const process of [...workers, ...servers.values()]) this.#world.resume(process);
    for (const replica of replicas) this.#stage.startServer(replica);
    this.#stage.startWorker();
  }

  disturb(): void {
    if (this.#isOver) return;
    const { faults, everyMs } = this.#character;
    const kind = draw(this.#chance, faults);
    if (kind === undefined) return;
    this.count += 1;
    this.#judge.disturbed();
    this.#befall(kind);
    this.#clients.later(everyMs, () => this.disturb());
  }

  #befall(kind: FaultKind): void {
    const { workers } = this.#stage;
    if (kind === "killWorker" && workers.length > 0) this.killWorker(this.#chance.pick(workers));
    if (kind === "stopWorker") this.#stopWorker();
    if (kind === "overtakeWorker") this.#overtakeWorker();
    if (kind === "cutWorker" && workers.length > 0) this.#network.cut(this.#chance.pick(workers));
    if (kind === "cutAll") this.#network.cut();
    if (kind === "restartServer") this.#restartServer();
    if (kind === "drainServer") this.#drainServer();
    if (kind === "breakDisk") this.#breakDisk();
    if (kind === "skewClock") this.skewMs += this.#chance.int(-20_000, 20_000);
    if (kind === "stopServer") this.#stopServer();
    if (kind === "deafenServers") this.#deafenServers();
  }

  killWorker(process: SimProcess | undefined): void {
    const { workers } = this.#stage;
    const at = process === undefined ? -1 : workers.indexOf(process);
    if (process === undefined || at < 0) return;
    workers.splice(at, 1);
    this.#world.say(`${process.name} is killed`);
    this.#judge.disturbed();
    this.#world.kill(process);
    this.#network.cut(process);
    this.#clients.later(this.#chance.pick([10, 3_000, 12_000]), () => this.#stage.startWorker());
  }

  #stopWorker(): void {
    if (this.#stage.workers.length === 0) return;
    const process = this.#chance.pick(this.#stage.workers);
    this.#world.say(`${process.name} stands still`);
    this.#world.stop(process);
    // Others continue with its runs meanwhile, at times after a restart of the server, which may have
    // answered before: what lies in the sockets is read when it continues.
    if (this.#chance.hits(0.6)) this.#clients.later(100, () => this.#restartServer());
    if (this.#chance.hits(0.7)) this.#stage.startWorker();
    this.#resumeLater(
      process,
      this.#chance.pick([300, 3_000, 6_000, 20_000]) * this.#chance.next(),
    );
  }

  /** A worker stands still for just as long as others need to take its runs over and to continue them. */
  #overtakeWorker(): void {
    const holds = ({ name }: SimProcess): number =>
      [...this.#disk.records.values()].filter(({ header }) => header.lease?.workerId === name)
        .length;
    const running = this.#stage.workers.filter(({ state }) => state === "running");
    const [process, ...others] = running.sort((a, b) => holds(b) - holds(a));
    if (process === undefined) return;
    this.#world.say(`${process.name} stands still and is overtaken`);
    this.#world.stop(process);
    if (others.length === 0) this.#stage.startWorker();
    const untilMs = this.#chance.int(0, 150);
    const downMs = this.#chance.int(1, 300);
    for (const replica of this.#stage.replicas) {
      const restart = () => this.#restartServer(downMs, replica);
      this.#world.schedule(untilMs, restart, this.#clients.process);
    }
    const takenOverMs = untilMs + downMs + BOUNDS.restartGraceMs;
    this.#resumeLater(process, takenOverMs + this.#chance.int(200, 3_000));
  }

  #resumeLater(process: SimProcess, afterMs: number): void {
    this.#world.schedule(
      afterMs,
      () => {
        this.#world.say(`${process.name} continues`);
        this.#judge.disturbed();
        this.#world.resume(process);
      },
      this.#clients.process,
    );
  }

  #restartServer(downMs = this.#downMs(), replica = this.#chance.pick(this.#stage.replicas)): void {
    this.#stage.killServer(replica);
    this.#startLater(replica, downMs);
  }

  #drainServer(): void {
    const replica = this.#chance.pick(this.#stage.replicas);
    const patienceMs = this.#chance.pick([50, 2_000]);
    this.#stage.drainServer(replica, patienceMs);
    this.#startLater(replica, patienceMs + this.#downMs());
  }

  #downMs(): number {
    return this.#chance.next() * this.#chance.pick([20, 2_000, 6_000]);
  }

  #startLater(replica: string, afterMs: number): void {
    const up = () => {
      this.#judge.disturbed();
      this.#stage.startServer(replica);
    };
    this.#world.schedule(afterMs, up, this.#clients.process);
  }

  #stopServer(): void {
    const process = this.#stage.servers.get(this.#chance.pick(this.#stage.replicas));
    if (process === undefined) return;
    this.#world.say(`${process.name} stands still`);
    this.#world.stop(process);
    this.#resumeLater(process, this.#chance.next() * 4_000);
  }

  /** Servers on one store hear nothing of one another for a while. */
  #deafenServers(): void {
    this.#world.say("the servers do not hear one another");
    this.#disk.deafness = 1;
    const hear = () => {
      this.#judge.disturbed();
      this.#disk.deafness = this.#isOver ? 0 : LOST_WAKES;
    };
    this.#world.schedule(this.#chance.next() * 6_000, hear, this.#clients.process);
  }

  #breakDisk(): void {
    this.#world.say("the disk has trouble");
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
      this.#clients.process,
    );
  }
}
