import { Socket } from "node:net";
import pg from "pg";
import { sleep } from "../../lib/clock.ts";
import { StartupError } from "../../lib/startup-error.ts";
import type { Row } from "../row.ts";
import type { StoreFault } from "../store-error.ts";
import { StoreError } from "../store-error.ts";

const CONNECT_TIMEOUT_MS = 5_000;
const RETRY_MS = 200;
const RETRY_MAX_MS = 2_000;

export interface Statement {
  /** Prepared under this name; without one it is planned each time. */
  readonly name?: string;
  readonly text: string;
  readonly values?: readonly unknown[];
}

export interface ConnectionSettings {
  readonly url: string;
  /** Shown in `pg_stat_activity`. */
  readonly role: string;
  /** Session settings, name to value. */
  readonly session: Readonly<Record<string, string | number>>;
  /** After which an answer is given up and the connection with it, in ms. */
  readonly answerMs: number;
  /** Runs on each new connection before anything else does. */
  readonly prepare?: (client: pg.Client) => Promise<void>;
  /** After a connection was made. */
  readonly onUp?: (client: pg.Client) => void;
  readonly onDown?: (cause: unknown) => void;
}

interface Up {
  /** Resolves to the reason when the connection is gone. */
  readonly ended: Promise<unknown>;
}

/**
 * One connection that restores itself. Statements are sent at once, one behind the other.
 *
 * States: `connecting`, entered at the start and when a connection was lost, tries again and again;
 * `up`; `closed`, entered by `close()` or because `prepare` found what no retry mends. In all but
 * `up` every call rejects at once: callers wait for no database that is not there.
 */
export class Connection {
  readonly #settings: ConnectionSettings;
  readonly #abort = new AbortController();
  #client: pg.Client | undefined;
  #socket = new Socket();
  #problem: unknown = new Error("not connected yet");
  #running: Promise<void> = Promise.resolve();

  constructor(settings: ConnectionSettings) {
    this.#settings = settings;
  }

  /**
   * Tries once, and continues trying in the background if that failed.
   *
   * @throws StartupError where trying again is of no use
   */
  async open(): Promise<void> {
    const up = await this.#connect();
    this.#running = this.#keep(up);
  }

  get isUp(): boolean {
    return this.#client !== undefined;
  }

  /** @throws StoreError where it is not */
  mustBeUp(): pg.Client {
    if (this.#client === undefined) throw this.#unavailable(this.#problem);
    return this.#client;
  }

  /** Runs the statements back to back, in one piece of network traffic. */
  async run(statements: readonly Statement[]): Promise<Row[][]> {
    const client = this.mustBeUp();
    const socket = this.#socket;
    socket.cork();
    const results = statements.map(({ name, text, values }) =>
      client.query<Row>({
        text,
        ...(name === undefined ? {} : { name }),
        ...(values === undefined ? {} : { values: [...values] }),
      }),
    );
    socket.uncork();
    try {
      return (await Promise.all(results)).map(({ rows }) => rows);
    } catch (cause) {
      throw this.#unavailable(cause);
    }
  }

  async one(statement: Statement): Promise<Row[]> {
    const [rows] = await this.run([statement]);
    return rows ?? [];
  }

  async close(): Promise<void> {
    this.#abort.abort(new StoreError("The store is closed."));
    this.#problem = this.#abort.signal.reason;
    const client = this.#client;
    this.#client = undefined;
    await client?.end();
    await this.#running;
  }

  #unavailable(cause: unknown): StoreError {
    if (cause instanceof StoreError) return cause;
    const message = cause instanceof Error ? cause.message : String(cause);
    return new StoreError(`PostgreSQL: ${message}`, { cause, fault: faultOf(cause) });
  }

  /** One attempt; undefined where it failed. */
  async #connect(): Promise<Up | undefined> {
    const socket = new Socket();
    const client = this.#newClient(socket);
    const ended = new Promise<unknown>((resolve) => {
      client.on("error", resolve);
      client.on("end", () => resolve(new Error("the connection was closed")));
    });
    try {
      await client.connect();
      await client.query(sessionSettings(this.#settings));
      await this.#settings.prepare?.(client);
    } catch (cause) {
      this.#problem = cause;
      socket.destroy();
      if (cause instanceof StartupError) throw cause;
      return undefined;
    }
    if (this.#abort.signal.aborted) {
      await client.end();
      return undefined;
    }
    this.#socket = socket;
    this.#client = client;
    this.#settings.onUp?.(client);
    return { ended };
  }

  #newClient(socket: Socket): pg.Client {
    return new pg.Client({
      connectionString: this.#settings.url,
      application_name: `pawl ${this.#settings.role}`,
      connectionTimeoutMillis: CONNECT_TIMEOUT_MS,
      query_timeout: this.#settings.answerMs,
      keepAlive: true,
      pipeline: true,
      stream: () => socket,
      types: { getTypeParser },
    });
  }

  /** Waits for the connection's end and makes a new one, until closed. */
  async #keep(first: Up | undefined): Promise<void> {
    const { signal } = this.#abort;
    let up = first;
    let delayMs = RETRY_MS;
    while (!signal.aborted) {
      if (up === undefined) {
        try {
          await sleep(delayMs, signal);
          up = await this.#connect();
        } catch (cause) {
          if (signal.aborted) return;
          this.#problem = cause;
          this.#settings.onDown?.(cause);
          if (cause instanceof StartupError) return;
        }
        delayMs = up === undefined ? Math.min(delayMs * 2, RETRY_MAX_MS) : RETRY_MS;
        if (up === undefined) this.#settings.onDown?.(this.#problem);
        continue;
      }
      const cause = await up.ended;
      up = undefined;
      this.#client = undefined;
      if (signal.aborted) return;
      this.#problem = cause;
      this.#settings.onDown?.(cause);
    }
  }
}

/**
 * Classes of SQLSTATE: 22 is bad data, 23 a broken constraint, 54 a limit of the program; XX001 and
 * XX002 are damaged tables and indexes.
 */
function faultOf(cause: unknown): StoreFault {
  const code = cause instanceof pg.DatabaseError ? (cause.code ?? "") : "";
  if (/^(22|23|54)/.test(code)) return "data";
  return /^XX00[12]$/.test(code) ? "damaged" : "away";
}

function sessionSettings({ session }: ConnectionSettings): string {
  return Object.entries(session)
    .map(([name, value]) => `SET ${name} = '${value}'`)
    .join("; ");
}

const INT8 = 20;

/** All that is kept as int8 (times, sizes, checksums) is far below 2^53. */
const getTypeParser: typeof pg.types.getTypeParser = (oid: number, format?: "text" | "binary") =>
  oid === INT8 ? Number : pg.types.getTypeParser(oid, format);
