/** How commands talk to a server: Connect over HTTP, with errors as sentences and exit codes. */
import type { DescMessage, MessageShape } from "@bufbuild/protobuf";
import {
  type Client,
  Code,
  ConnectError,
  createClient,
  type Interceptor,
} from "@connectrpc/connect";
import { createConnectTransport, createGrpcTransport } from "@connectrpc/connect-node";
import {
  EventService,
  KeyService,
  PayloadService,
  RunService,
  ServerService,
  SignalService,
  WaitService,
  WorkerService,
  WorkflowService,
} from "@pawl/proto";
import { ErrorInfoSchema } from "@pawl/proto/google/rpc/error_details_pb.js";
import { plain } from "../../rpc/plain.ts";
import type { Run } from "../catalog/command.ts";
import type { Args } from "./args.ts";
import { CliError, EXIT, usageError } from "./exit.ts";
import type { Terminal } from "./terminal.ts";

const DEFAULT_URL = "http://127.0.0.1:8000";

/** The code of a command that talks to a server: failed calls are explained in the user's terms. */
export function clientCommand(
  command: (server: Server, args: Args, terminal: Terminal) => Promise<number>,
): Run {
  return async (args, terminal) => {
    const server = connect(args, terminal);
    try {
      return await command(server, args, terminal);
    } catch (error) {
      throw await explain(error, server.url);
    }
  };
}

export interface Server {
  readonly url: string;
  readonly runs: Client<typeof RunService>;
  readonly signals: Client<typeof SignalService>;
  readonly waits: Client<typeof WaitService>;
  readonly workers: Client<typeof WorkerService>;
  readonly workflows: Client<typeof WorkflowService>;
  readonly events: Client<typeof EventService>;
  readonly payloads: Client<typeof PayloadService>;
  readonly keys: Client<typeof KeyService>;
}

/** The server that the arguments or the environment name. */
function connect(args: Args, terminal: Terminal): Server {
  const { PAWL_HTTP_URL = "", PAWL_URL = "" } = terminal.env;
  const given = args.text("server");
  const url = (given ?? (PAWL_HTTP_URL || PAWL_URL || DEFAULT_URL)).replace(/\/$/, "");
  if (!/^https?:\/\/[^/]+$/.test(url)) {
    const variable = PAWL_HTTP_URL === "" ? "PAWL_URL" : "PAWL_HTTP_URL";
    const name = given === undefined ? variable : "--server";
    throw usageError(`${name} is "${url}"; it must be a URL such as ${DEFAULT_URL}.`);
  }
  const key = terminal.env.PAWL_API_KEY ?? "";
  const withKey: Interceptor = (next) => (request) => {
    request.header.set("authorization", `Bearer ${key}`);
    return next(request);
  };
  const interceptors = key === "" ? [] : [withKey];
  const transport = createConnectTransport({ baseUrl: url, httpVersion: "1.1", interceptors });
  return {
    url,
    runs: createClient(RunService, transport),
    signals: createClient(SignalService, transport),
    waits: createClient(WaitService, transport),
    workers: createClient(WorkerService, transport),
    workflows: createClient(WorkflowService, transport),
    events: createClient(EventService, transport),
    payloads: createClient(PayloadService, transport),
    keys: createClient(KeyService, transport),
  };
}

/** Why the server refused a call; undefined if the error is something else. */
export function reasonOf(error: unknown): { reason: string; message: string } | undefined {
  if (!(error instanceof ConnectError)) return undefined;
  const [info] = error.findDetails(ErrorInfoSchema);
  return info === undefined ? undefined : { reason: info.reason, message: error.rawMessage };
}

/** A failed call in the user's words. */
async function explain(error: unknown, url: string): Promise<unknown> {
  if (!(error instanceof ConnectError)) return error;
  const [info] = error.findDetails(ErrorInfoSchema);
  if (info === undefined) return unexplained(error, url);
  const options = { reason: info.reason, metadata: info.metadata, cause: error };
  const hint = hintFor(info.reason, info.metadata);
  const exitCode = info.metadata.needs === undefined ? exitCodeFor(error.code) : EXIT.DENIED;
  return new CliError(exitCode, error.rawMessage, { ...options, hint });
}

/** The error did not come from a Pawl server. */
async function unexplained(error: ConnectError, url: string): Promise<CliError> {
  const options = { reason: "NOT_REACHABLE", metadata: { url }, cause: error };
  const httpUrl = await httpUrlOf(url);
  if (httpUrl !== "")
    return new CliError(
      EXIT.NOT_REACHABLE,
      `${url} is the address of a Pawl server for workers (gRPC); commands need its HTTP address, which is ${httpUrl}.`,
      {
        ...options,
        hint: `Set PAWL_URL to ${httpUrl}, which workers take as well, or use --server.`,
      },
    );
  if (isNetworkError(error.cause) || error.code === Code.Unavailable) {
    return new CliError(EXIT.NOT_REACHABLE, `There is no Pawl server at ${url}.`, {
      ...options,
      hint: "Start one with `pawl serve` or `pawl dev`, or set --server or PAWL_URL to its address.",
    });
  }
  return new CliError(
    EXIT.NOT_REACHABLE,
    `${url} is not a Pawl server: ${error.rawMessage || "unexpected protocol"}.`,
    {
      ...options,
      hint: "--server takes the server's HTTP address, not the one for workers (gRPC).",
    },
  );
}

/** What the server that speaks gRPC at the URL says of its HTTP address; empty where there is none. */
async function httpUrlOf(url: string): Promise<string> {
  const transport = createGrpcTransport({ baseUrl: url });
  try {
    const asked = createClient(ServerService, transport).getServer({}, { timeoutMs: 2_000 });
    return (await asked).httpUrl;
  } catch {
    return "";
  }
}

function isNetworkError(cause: unknown): boolean {
  return cause instanceof Error && "code" in cause && /^(E[A-Z]+|UND_ERR)/.test(String(cause.code));
}

function exitCodeFor(code: Code): number {
  switch (code) {
    case Code.NotFound:
      return EXIT.NOT_FOUND;
    case Code.Unavailable:
    case Code.ResourceExhausted:
      return EXIT.TRY_AGAIN;
    case Code.Internal:
    case Code.DataLoss:
      return EXIT.INTERNAL;
    case Code.Unauthenticated:
      return EXIT.DENIED;
    default:
      return EXIT.REFUSED;
  }
}

function hintFor(reason: string, metadata: Readonly<Record<string, string>>): string {
  if (reason === "NOT_FOUND" && metadata.id !== undefined) return "`pawl list` shows all runs.";
  if (metadata.needs !== undefined) return "`pawl keys list` shows what each key may do.";
  if (reason === "PERMISSION_DENIED")
    return "--actor NAME (or PAWL_ACTOR) says who you are; `pawl waits` shows who may answer.";
  return "";
}

/** Prints a response as JSON, its payloads with their values in clear. */
export function printJson<T extends DescMessage>(
  terminal: Terminal,
  schema: T,
  message: MessageShape<T>,
): void {
  terminal.out(JSON.stringify(plain(schema, message), undefined, 2));
}
