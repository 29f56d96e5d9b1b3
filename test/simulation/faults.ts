/** What goes wrong in the simulated world. */
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
  readonly #everyMs: number;
  #isOver = false;
  count = 0;
  /** How far the server's clock is off. */
  skewMs = 0;

  constructor(
    { world, disk, network, judge }: { world: World; disk: Disk; network: Network; judge: Judge },
    clients: Clients,
    stage: Stage,
    everyMs: number,
  ) {
    this.#world = world;
    this.#disk = disk;
    this.#network = network;
    this.#judge = judge;
    this.#clients = clients;
    this.#stage = stage;
    this.#chance = world.chance;
    this.#everyMs = everyMs;
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
    this.count += 1;
    this.#judge.disturbed();
    const { chance } = this.#world;
    const dice = chance.next();
    if (dice < 0.15) this.#killWorker();
    else if (dice < 0.44) this.#stopWorker();
    else if (dice < 0.6 && this.#stage.workers.length > 0)
      this.#network.cut(chance.pick(this.#stage.workers));
    else if (dice < 0.7) this.#network.cut();
    else if (dice < 0.82) this.#restartServer();
    else if (dice < 0.9) this.#breakDisk();
    else if (dice < 0.95) this.skewMs += chance.int(-20_000, 20_000);
    else this.#stopServer();
    this.#clients.later(this.#everyMs, () => this.disturb());
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
    // Others continue with its runs meanwhile, at times after a restart of the server.
    if (this.#chance.hits(0.6)) this.#restartServer();
    if (this.#chance.hits(0.7)) this.#stage.startWorker();
    const forMs = this.#chance.pick([300, 3_000, 6_000, 20_000]) * this.#chance.next();
    this.#world.schedule(
      forMs,
      () => {
        this.#world.say(`${process.name} continues`);
        this.#judge.disturbed();
        this.#world.resume(process);
      },
      this.#clients.process,
    );
  }

  #restartServer(): void {
    this.#stage.killServer();
    const up = () => {
      this.#judge.disturbed();
      if (this.#stage.server === undefined) this.#stage.startServer();
    };
    this.#world.schedule(
      this.#chance.next() * this.#chance.pick([20, 2_000, 6_000]),
      up,
      this.#clients.process,
    );
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
