import { PayloadService } from "@pawl/proto";
import type { EngineApi } from "../../engine/engine-api.ts";
import { BOUNDS } from "../../model/bounds.ts";
import { type Binding, clientStream, unary } from "../binding.ts";
import { number, payloadTooLarge, sha256 } from "../convert/fields.ts";

export function payloadService(engine: EngineApi): Binding[] {
  const rpc = PayloadService.method;
  return [
    clientStream(rpc.putPayload, async (requests, { caller }) => {
      const pieces: Uint8Array[] = [];
      let size = 0;
      for await (const { data } of requests) {
        if (data.byteLength > BOUNDS.payloadPieceBytes) {
          throw payloadTooLarge("data", data.byteLength, BOUNDS.payloadPieceBytes);
        }
        size += data.byteLength;
        if (size > BOUNDS.payloadBytes) {
          throw payloadTooLarge("payload", size, BOUNDS.payloadBytes);
        }
        pieces.push(data);
      }
      return { ref: await engine.payloads.put(caller, Buffer.concat(pieces, size)) };
    }),
    unary(rpc.getPayload, async (request, { caller }) => {
      const max = BOUNDS.payloadPieceBytes;
      const limit = number("limit", request.limit || max, 1, max);
      const digest = sha256("sha256", request.sha256);
      return await engine.payloads.get(caller, { sha256: digest, offset: request.offset, limit });
    }),
  ];
}
