/**
 * Finds the gRPC address of a server by its HTTP address, each time that a channel connects. What does not
 * describe itself as a Pawl server is taken for a gRPC address.
 */
import { get as getInClear, type IncomingMessage } from "node:http";
import { get as getByTls } from "node:https";
import { experimental, Metadata, status } from "@grpc/grpc-js";

const scheme = "pawl";
const patienceMs = 2_000;
const bodyBytesMax = 65_536;

/** The target of a channel to the server at this URL. */
export function discoveredTarget(url: URL): string {
  return `${scheme}:///${url.origin}`;
}

type Listener = experimental.ResolverListener;

class Discovery implements experimental.Resolver {
  readonly #url: URL;
  readonly #listener: Listener;
  #asking: AbortController | undefined;

  constructor(target: experimental.GrpcUri, listener: Listener) {
    this.#url = new URL(target.path);
    this.#listener = listener;
  }

  static getDefaultAuthority(target: experimental.GrpcUri): string {
    return new URL(target.path).host;
  }

  updateResolution(): void {
    if (this.#asking !== undefined) return;
    const asking = new AbortController();
    this.#asking = asking;
    void askServer(this.#url, asking.signal).then((told) => {
      if (asking.signal.aborted) return;
      this.#asking = undefined;
      this.#tell(told);
    });
  }

  destroy(): void {
    this.#asking?.abort();
    this.#asking = undefined;
  }

  #tell(told: string): void {
    const url = told === "" ? this.#url : URL.parse(told);
    const problem = problemWith(this.#url, url);
    if (url === null || problem !== undefined) {
      const error = { code: status.UNAVAILABLE, details: problem ?? "" };
      const metadata = new Metadata();
      this.#listener(experimental.statusOrFromError({ ...error, metadata }), {}, null, "");
      return;
    }
    const address = { host: url.hostname.replace(/^\[(.*)\]$/, "$1"), port: portOf(url) };
    const endpoints = [{ addresses: [address] }];
    this.#listener(experimental.statusOrFromValue(endpoints), {}, null, "");
  }
}

experimental.registerResolver(scheme, Discovery);

function portOf(url: URL): number {
  return Number(url.port || (url.protocol === "https:" ? 443 : 80));
}

/** Why the server's word is not taken for where it is: its key must not reach another host, nor go in clear. */
function problemWith(asked: URL, told: URL | null): string | undefined {
  if (told !== null && told.hostname === asked.hostname && told.protocol === asked.protocol)
    return undefined;
  return `the server at ${asked.origin} says that its gRPC address is ${told?.origin ?? "none"}, which has another host or scheme; set PAWL_GRPC_URL to the gRPC address to use, or start the server with --public-grpc-url`;
}

/** The gRPC address that a server names; empty where there is none that does. */
function askServer(url: URL, signal: AbortSignal): Promise<string> {
  return new Promise((resolve) => {
    const get = url.protocol === "https:" ? getByTls : getInClear;
    const request = get(
      new URL("/v1/server", url),
      { agent: false, signal: AbortSignal.any([signal, AbortSignal.timeout(patienceMs)]) },
      (response) => {
        readAddress(response).then(resolve, () => resolve(""));
      },
    );
    request.on("error", () => resolve(""));
  });
}

async function readAddress(response: IncomingMessage): Promise<string> {
  const pieces: Buffer[] = [];
  let size = 0;
  for await (const piece of response) {
    if (!(piece instanceof Buffer)) continue;
    pieces.push(piece);
    size += piece.byteLength;
    if (size > bodyBytesMax) return "";
  }
  if (response.statusCode !== 200) return "";
  const said: unknown = JSON.parse(Buffer.concat(pieces).toString());
  const isPawl = typeof said === "object" && said !== null && "grpcUrl" in said;
  return isPawl && typeof said.grpcUrl === "string" ? said.grpcUrl : "";
}
