/** The server's configuration: read once, from options and environment, into a complete value. */
import { hostname } from "node:os";
import { join, resolve } from "node:path";
import { DURATION_EXAMPLES, durationOf } from "./lib/duration.ts";
import { uniqueId } from "./lib/ids.ts";
import { LOG_FORMATS, LOG_LEVELS, type LogFormat, type LogLevel } from "./lib/log.ts";
import { isLoopbackHost } from "./lib/loopback.ts";
import { StartupError } from "./lib/startup-error.ts";

/** What the command line or an embedding program says; anything unset comes from the environment. */
export interface ServerOptions {
  /** SQLite path, `:memory:` or `postgres://…`. PAWL_DATABASE_URL; else `pawl.db` in the data directory. */
  readonly store?: string | undefined;
  /** The host on which both listeners listen unless they name their own. PAWL_LISTEN; else 127.0.0.1. */
  readonly listen?: string | undefined;
  /** Whether a proxy ends TLS, so that keys may arrive in clear on addresses that others reach. */
  readonly plaintext?: boolean | undefined;
  /** Where gRPC listens. PAWL_GRPC; else 127.0.0.1:50051. Port 0: any free one. */
  readonly grpc?: string | undefined;
  /** Where HTTP listens. PAWL_HTTP; else 127.0.0.1:8000. Port 0: any free one. */
  readonly http?: string | undefined;
  /**
   * Where people and processes outside reach the HTTP listener, such as https://pawl.example: what
   * answer links and callback URLs begin with. PAWL_PUBLIC_URL; else the listener's own address.
   */
  readonly publicUrl?: string | undefined;
  /**
   * Where clients outside reach the gRPC listener, such as https://pawl.example:50051: what
   * `GET /v1/server` names. PAWL_PUBLIC_GRPC_URL; else the host by which the caller reached the server.
   */
  readonly publicGrpcUrl?: string | undefined;
  /**
   * Origins of web pages that may call over HTTP, such as `https://app.example`. PAWL_CORS_ORIGINS,
   * with commas between; else none but the server's own.
   */
  readonly corsOrigins?: readonly string[] | undefined;
  /** PAWL_DATA_DIR; else `.pawl` in the working directory. */
  readonly data?: string | undefined;
  /** Whether an older schema is migrated at the start; otherwise it is refused. Default: no. */
  readonly migrate?: boolean | undefined;
  /**
   * Names this server among those on one Postgres, stable over restarts. PAWL_REPLICA; else the
   * host's name and the gRPC address, which is not a stable name with port 0.
   */
  readonly replica?: string | undefined;
  /** How long runs are kept after their end, such as `30d`. PAWL_RETENTION; else for ever. */
  readonly retention?: string | undefined;
  /** Events below it are not logged. PAWL_LOG; else `info`. */
  readonly logLevel?: string | undefined;
}

export interface Address {
  readonly host: string;
  readonly port: number;
}

export interface ServerConfig {
  readonly store: string;
  /** The directory to be made for the store; empty where the store is elsewhere. */
  readonly dataDir: string;
  readonly grpc: Address;
  readonly http: Address;
  /** Of the addresses, those that other machines may reach. */
  readonly exposed: readonly string[];
  /** Whether a proxy ends TLS. */
  readonly plaintext: boolean;
  /** Without a slash at the end; empty: the HTTP listener's own address. */
  readonly publicUrl: string;
  /** The same of gRPC. Empty: the host by which a caller reached the server. */
  readonly publicGrpcUrl: string;
  readonly corsOrigins: readonly string[];
  /** PAWL_OPERATOR_KEY: a key that may do everything and is not in the store; empty: none. */
  readonly operatorKey: string;
  readonly migrate: boolean;
  readonly replicaId: string;
  /** How long runs are kept after their end; undefined: for ever. */
  readonly retentionMs: number | undefined;
  readonly logLevel: LogLevel;
  /** PAWL_LOG_FORMAT; undefined: `text` on a terminal, else `json`. */
  readonly logFormat: LogFormat | undefined;
  /** Whether SQLite has a thread of its own. PAWL_STORE_THREAD=0: no. For measurements. */
  readonly storeThread: boolean;
}

/** A client that waits for a run must be able to read how it ended. */
const RETENTION_MIN_MS = 1_000;

type Environment = Readonly<Record<string, string | undefined>>;

/** Those of the server, and those of the command line and the SDKs, such as PAWL_ACTOR and PAWL_URL. */
const KNOWN = [
  "PAWL_ACTOR",
  "PAWL_API_KEY",
  "PAWL_CORS_ORIGINS",
  "PAWL_DATABASE_URL",
  "PAWL_DATA_DIR",
  "PAWL_GRPC",
  "PAWL_GRPC_URL",
  "PAWL_HTTP",
  "PAWL_HTTP_URL",
  "PAWL_LISTEN",
  "PAWL_LOG",
  "PAWL_LOG_FORMAT",
  "PAWL_OPERATOR_KEY",
  "PAWL_PLAINTEXT",
  "PAWL_PUBLIC_GRPC_URL",
  "PAWL_PUBLIC_URL",
  "PAWL_REPLICA",
  "PAWL_RETENTION",
  "PAWL_STORE_THREAD",
  "PAWL_URL",
];

/** @throws StartupError BAD_CONFIG */
export function readConfig(options: ServerOptions, env: Environment): ServerConfig {
  const dataDir = resolve(options.data ?? env.PAWL_DATA_DIR ?? ".pawl");
  const store = options.store ?? env.PAWL_DATABASE_URL ?? "";
  const host = parseHost(options.listen ?? env.PAWL_LISTEN ?? "127.0.0.1");
  const grpc = parseAddress("--grpc", options.grpc ?? env.PAWL_GRPC ?? `${host}:50051`);
  const http = parseAddress("--http", options.http ?? env.PAWL_HTTP ?? `${host}:8000`);
  return Object.freeze({
    store: store === "" ? join(dataDir, "pawl.db") : store,
    dataDir: store === "" ? dataDir : "",
    grpc,
    http,
    exposed: [grpc, http].filter(({ host }) => !isLoopbackHost(host)).map(formatAddress),
    plaintext: options.plaintext ?? env.PAWL_PLAINTEXT === "1",
    publicUrl: parsePublicUrl("--public-url", options.publicUrl ?? env.PAWL_PUBLIC_URL ?? ""),
    publicGrpcUrl: parsePublicUrl(
      "--public-grpc-url",
      options.publicGrpcUrl ?? env.PAWL_PUBLIC_GRPC_URL ?? "",
    ),
    corsOrigins: parseOrigins(options.corsOrigins ?? splitList(env.PAWL_CORS_ORIGINS)),
    operatorKey: parseOperatorKey(env.PAWL_OPERATOR_KEY ?? ""),
    migrate: options.migrate ?? false,
    replicaId: parseReplica(options.replica ?? env.PAWL_REPLICA) ?? replicaName(grpc),
    retentionMs: parseRetention(options.retention ?? env.PAWL_RETENTION ?? ""),
    logLevel: parseLogLevel(options.logLevel ?? env.PAWL_LOG ?? "info"),
    logFormat: parseLogFormat(env.PAWL_LOG_FORMAT ?? ""),
    storeThread: env.PAWL_STORE_THREAD !== "0",
  });
}

/**
 * The name of a server as it was chosen. It leads the ids of connections, which `poll` and `claim` do as well.
 *
 * @throws StartupError BAD_CONFIG
 */
export function parseReplica(name: string | undefined): string | undefined {
  if (name === undefined || (/^[\w.:#[\]-]{1,200}$/.test(name) && !/^(poll|claim)$/.test(name)))
    return name;
  throw new StartupError(
    "BAD_CONFIG",
    `The replica name is "${name}"; it must be up to 200 letters, digits and . : # [ ] _ -, and not "poll" or "claim".`,
  );
}

/** Two servers of a machine that both listen on any free port are two all the same. */
function replicaName(grpc: Address): string {
  const name = `${hostname()}:${formatAddress(grpc)}`;
  return grpc.port === 0 ? `${name}#${uniqueId().slice(0, 8)}` : name;
}

/** Variables that look like Pawl's and are not: misspelt, most likely. */
export function unknownVariables(env: Environment): string[] {
  return Object.keys(env).filter((name) => name.startsWith("PAWL_") && !KNOWN.includes(name));
}

export function formatAddress({ host, port }: Address): string {
  return host.includes(":") ? `[${host}]:${port}` : `${host}:${port}`;
}

/** As it stands in an address: an IPv6 address in brackets. */
function parseHost(value: string): string {
  const bare = value.replace(/^\[(.*)\]$/, "$1");
  if (bare !== "" && !/[\s/]/.test(bare) && !/^[^:]*:\d*$/.test(bare))
    return bare.includes(":") ? `[${bare}]` : bare;
  throw new StartupError(
    "BAD_CONFIG",
    `--listen is "${value}"; it must be a host without a port, such as 0.0.0.0 or [::].`,
  );
}

function parseAddress(option: string, value: string): Address {
  const match = /^(?:\[([^\]]+)\]|([^:]*)):(\d{1,5})$/.exec(value);
  const port = Number(match?.[3]);
  if (match === null || port > 65_535) {
    throw new StartupError(
      "BAD_CONFIG",
      `${option} is "${value}"; it must be HOST:PORT, such as 127.0.0.1:8000.`,
    );
  }
  const host = match[1] ?? match[2] ?? "";
  return Object.freeze({ host, port });
}

function parsePublicUrl(option: string, value: string): string {
  if (value === "") return "";
  const url = URL.parse(value);
  const isPlain = url?.search === "" && url.hash === "" && url.username === "";
  if (isPlain && (url.protocol === "https:" || url.protocol === "http:"))
    return `${url.origin}${url.pathname}`.replace(/\/+$/, "");
  throw new StartupError(
    "BAD_CONFIG",
    `${option} is "${value}"; it must be an http or https URL without a query, such as https://pawl.example.`,
  );
}

function parseOperatorKey(value: string): string {
  if (value === "" || /^pawl_op_\w{36}$/.test(value)) return value;
  // Without the value, which may be a key of another kind.
  throw new StartupError(
    "BAD_CONFIG",
    "PAWL_OPERATOR_KEY is not an operator's key. Make one with `pawl keys generate`.",
  );
}

function splitList(value: string | undefined): string[] {
  const items = (value ?? "").split(",").map((item) => item.trim());
  return items.filter((item) => item !== "");
}

/** Each as a browser sends it: no path, no default port, lower case. */
function parseOrigins(values: readonly string[]): readonly string[] {
  return Object.freeze(values.map(parseOrigin));
}

function parseOrigin(value: string): string {
  const origin = /^https?:/i.test(value) && URL.canParse(value) ? new URL(value) : undefined;
  if (origin !== undefined && origin.href === `${origin.origin}/`) return origin.origin;
  const star = "Without keys, any page that somebody opens could run and delete everything.";
  throw new StartupError(
    "BAD_CONFIG",
    `--cors-origin is "${value}"; it must be the origin of a web page, such as https://app.example` +
      ` or http://localhost:5173.${value.includes("*") ? ` ${star}` : ""}`,
  );
}

function parseRetention(value: string): number | undefined {
  if (value === "") return undefined;
  const ms = durationOf(value);
  if (ms !== undefined && ms >= RETENTION_MIN_MS) return ms;
  throw new StartupError(
    "BAD_CONFIG",
    `--retention is "${value}"; it must be a duration of at least 1s, such as 30d (${DURATION_EXAMPLES}).`,
  );
}

function parseLogLevel(value: string): LogLevel {
  const level = LOG_LEVELS.find((known) => known === value);
  if (level !== undefined) return level;
  throw new StartupError(
    "BAD_CONFIG",
    `The log level is "${value}"; it must be one of ${LOG_LEVELS.join(", ")}.`,
  );
}

function parseLogFormat(value: string): LogFormat | undefined {
  const format = LOG_FORMATS.find((known) => known === value);
  if (format !== undefined || value === "") return format;
  throw new StartupError(
    "BAD_CONFIG",
    `PAWL_LOG_FORMAT is "${value}"; it must be one of ${LOG_FORMATS.join(", ")}.`,
  );
}
