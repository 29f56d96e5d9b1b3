/** RPCs over HTTP: Connect's protocol and gRPC-Web. Loaded at the first call, since many servers get none. */
import type { IncomingMessage, ServerResponse } from "node:http";
import { createConnectRouter } from "@connectrpc/connect";
import {
  compressionGzip,
  universalRequestFromNodeRequest,
  universalResponseToNodeResponse,
} from "@connectrpc/connect-node";
import { BOUNDS } from "../model/bounds.ts";
import { type ConnectRouteOptions, connectRoutes } from "../rpc/connect-routes.ts";
import { discardRest } from "./discard.ts";
import { explaining } from "./request-errors.ts";

/** Serves one request. Resolves once the answer is written. */
export type RpcHandler = (
  path: string,
  request: IncomingMessage,
  response: ServerResponse,
) => Promise<void>;

export interface RpcHandlerOptions extends ConnectRouteOptions {
  /** After which a client that reads nothing of a stream is let go. Default: 30 s. */
  readonly slowReaderMs?: number;
}

export function createRpcHandler(options: RpcHandlerOptions): RpcHandler {
  const { slowReaderMs = BOUNDS.slowReaderMs } = options;
  const router = createConnectRouter({
    grpc: false,
    acceptCompression: [compressionGzip],
    readMaxBytes: BOUNDS.messageBytes,
    writeMaxBytes: BOUNDS.messageBytes,
  });
  connectRoutes(options)(router);
  const rpcs = new Map(
    router.handlers.map(
      (handler) =>
        [handler.requestPath, explaining(handler, handler.method.methodKind !== "unary")] as const,
    ),
  );
  return async (path, request, response) => {
    const rpc = rpcs.get(path);
    if (rpc === undefined) throw new Error(`There is no RPC at ${path}.`);
    const asked = universalRequestFromNodeRequest(request, response, undefined, undefined);
    const answer = await rpc({ ...asked, body: request.iterator({ destroyOnReturn: false }) });
    if (!request.complete) discardRest(request);
    const { body } = answer;
    const paced = body === undefined ? {} : { body: paces(body, response, slowReaderMs) };
    await universalResponseToNodeResponse({ ...answer, ...paced }, response);
  };
}

/** The same pieces; one that is not read in time ends the connection, as nothing can be said on it. */
async function* paces(
  body: AsyncIterable<Uint8Array>,
  response: ServerResponse,
  patienceMs: number,
): AsyncIterable<Uint8Array> {
  for await (const piece of body) {
    const timer = setTimeout(() => response.destroy(), patienceMs);
    try {
      yield piece;
    } finally {
      clearTimeout(timer);
    }
  }
}
