/** What goes wrong in the simulated world. */
import { LIMITS } from "../../server/src/model/limits.ts";
import { type Character, draw, type FaultKind } from "./character.ts";
import type { Clients } from "./clients.ts";
import type { Disk } from "./disk.ts";
import type { Judge } from "./judge.ts";
import type { Network } from "./network.ts";
import type { Chance, SimProcess, World } from "./world.ts";

/** The processes that faults befall, and how they are started again. */
export interface Stage {
  readonly workers: SimProcess[];
  readonly server: SimProcess | undefined;
  startWorker(): void;
  startServer(): void;
  killServer(): void;
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
    const { workers, server } = this.#stage;
    for (const process of workers) this.#world.resume(process);
    if (server !== undefined) this.#world.resume(server);
    else this.#stage.startServer();
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
    if (kind === "killWorker") this.#killWorker();
    if (kind === "stopWorker") this.#stopWorker();
    if (kind === "overtakeWorker") this.#overtakeWorker();
    if (kind === "cutWorker" && workers.length > 0) this.#network.cut(this.#chance.pick(workers));
    if (kind === "cutAll") this.#network.cut();
    if (kind === "restartServer") this.#restartServer();
    if (kind === "breakDisk") this.#breakDisk();
    if (kind === "skewClock") this.skewMs += this.#chance.int(-20_000, 20_000);
    if (kind === "stopServer") this.#stopServer();
  }

  #killWorker(): void {
    const [process] = this.#stage.workers.splice(
      this.#chance.int(0, this.#stage.workers.length - 1),
      1,
    );
    if (process === undefined) return;
    this.#world.say(`${process.name} is killed`);
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
    this.#world.schedule(untilMs, () => this.#restartServer(downMs), this.#clients.process);
    const takenOverMs = untilMs + downMs + LIMITS.restartGraceMs;
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

  #restartServer(downMs = this.#chance.next() * this.#chance.pick([20, 2_000, 6_000])): void {
    this.#stage.killServer();
    const up = () => {
      this.#judge.disturbed();
      if (this.#stage.server === undefined) this.#stage.startServer();
    };
    this.#world.schedule(downMs, up, this.#clients.process);
  }

  #stopServer(): void {
    const process = this.#stage.server;
    if (process === undefined) return;
    this.#world.say(`${process.name} stands still`);
    this.#world.stop(process);
    this.#world.schedule(
      this.#chance.next() * 4_000,
      () => {
        this.#judge.disturbed();
        this.#world.resume(process);
      },
      this.#clients.process,
    );
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
