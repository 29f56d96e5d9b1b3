/** RPCs over HTTP: Connect's protocol and gRPC-Web. Loaded at the first call, since many servers get none. */
import type { IncomingMessage, ServerResponse } from "node:http";
import { createConnectRouter } from "@connectrpc/connect";
import {
  compressionGzip,
  universalRequestFromNodeRequest,
  universalResponseToNodeResponse,
} from "@connectrpc/connect-node";
import { LIMITS } from "../model/limits.ts";
import { type ConnectRouteOptions, connectRoutes } from "../rpc/connect-routes.ts";
import { discardRest } from "./discard.ts";
import { explaining } from "./request-errors.ts";

/** Answers one request. Resolves once the answer is written. */
export type RpcHandler = (
  path: string,
  request: IncomingMessage,
  response: ServerResponse,
) => Promise<void>;

export function createRpcHandler(options: ConnectRouteOptions): RpcHandler {
  const router = createConnectRouter({
    grpc: false,
    acceptCompression: [compressionGzip],
    readMaxBytes: LIMITS.messageBytes,
    writeMaxBytes: LIMITS.messageBytes,
  });
  connectRoutes(options)(router);
  const rpcs = new Map(
    router.handlers.map((handler) => [handler.requestPath, explaining(handler)] as const),
  );
  return async (path, request, response) => {
    const rpc = rpcs.get(path);
    if (rpc === undefined) throw new Error(`There is no RPC at ${path}.`);
    const asked = universalRequestFromNodeRequest(request, response, undefined, undefined);
    const answer = await rpc({ ...asked, body: request.iterator({ destroyOnReturn: false }) });
    if (!request.complete) discardRest(request);
    await universalResponseToNodeResponse(answer, response);
  };
}
