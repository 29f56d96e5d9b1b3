import type { IncomingMessage } from "node:http";
import { LIMITS } from "../model/limits.ts";

/**
 * Reads what is left of a body that was refused half-way: a client that is still sending would
 * find its connection broken before it reads the answer.
 */
export function discardRest(request: IncomingMessage): void {
  let left = 2 * LIMITS.payloadBytes;
  request.on("data", (piece: Buffer) => {
    left -= piece.byteLength;
    if (left < 0) request.destroy();
  });
}
