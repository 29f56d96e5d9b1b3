import type { IncomingMessage } from "node:http";
import { BOUNDS } from "../model/bounds.ts";

/**
 * Reads what is left of a body that was refused half-way: a client that is still sending would
 * find its connection broken before it reads the answer.
 */
export function discardRest(request: IncomingMessage): void {
  let left = 2 * BOUNDS.payloadBytes;
  request.on("data", (piece: Buffer) => {
    left -= piece.byteLength;
    if (left < 0) request.destroy();
  });
}
