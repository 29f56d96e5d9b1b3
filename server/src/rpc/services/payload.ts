import { PayloadService } from "@pawl/proto";
import type { EngineApi } from "../../engine/api.ts";
import { LIMITS } from "../../model/limits.ts";
import { type Binding, clientStream, unary } from "../binding.ts";
import { number, payloadTooLarge, sha256 } from "../convert/field.ts";

export function payloadService(engine: EngineApi): Binding[] {
  const rpc = PayloadService.method;
  return [
    clientStream(rpc.putPayload, async (requests, { caller }) => {
      const pieces: Uint8Array[] = [];
      let size = 0;
      for await (const { data } of requests) {
        if (data.byteLength > LIMITS.payloadPieceBytes) {
          throw payloadTooLarge("data", data.byteLength, LIMITS.payloadPieceBytes);
        }
        size += data.byteLength;
        if (size > LIMITS.payloadBytes) {
          throw payloadTooLarge("payload", size, LIMITS.payloadBytes);
        }
        pieces.push(data);
      }
      return { ref: await engine.putPayload(caller, Buffer.concat(pieces, size)) };
    }),
    unary(rpc.getPayload, async (request, { caller }) => {
      const max = LIMITS.payloadPieceBytes;
      const limit = number("limit", request.limit || max, 1, max);
      const digest = sha256("sha256", request.sha256);
      return await engine.getPayload(caller, digest, request.offset, limit);
    }),
  ];
}
