/**
 * Goal: a watcher that does not read is let go with SLOW_CONSUMER, and no more is taken for it than
 * the buffers hold.
 * Method: a bare HTTP/2 client, since grpc-js's own reads ahead without a bound.
 */

import { once } from "node:events";
import { connect } from "node:http2";
import { create, fromBinary } from "@bufbuild/protobuf";
import { EventService, WatchRunResponseSchema } from "@pawl/proto";
import { StatusSchema } from "@pawl/proto/google/rpc/status_pb.js";
import { expect, test } from "vitest";
import { everyoneIsOwner } from "../auth/authenticate.ts";
import { SILENT_LOG } from "../lib/log.ts";
import { serverStream } from "./binding.ts";
import { Calls } from "./calls.ts";
import { createGrpcServer } from "./grpc-server.ts";

const EVENTS_MAX = 10_000;
const ENVELOPE_BYTES = 5;
const method = EventService.method.watchRun;

/** The messages of a gRPC stream: a flag byte, a length in four bytes, and that many bytes each. */
function messagesIn(bytes: Buffer): Buffer[] {
  const messages: Buffer[] = [];
  for (let at = 0; at < bytes.byteLength; ) {
    const size = bytes.readUInt32BE(at + 1);
    messages.push(bytes.subarray(at + ENVELOPE_BYTES, at + ENVELOPE_BYTES + size));
    at += ENVELOPE_BYTES + size;
  }
  return messages;
}

test("a watcher that does not read is let go with SLOW_CONSUMER and has its cursor", async () => {
  let sent = 0;
  const closed = Promise.withResolvers<void>();
  const data = Buffer.alloc(50_000, "x");
  const watch = serverStream(method, async function* () {
    try {
      while (sent < EVENTS_MAX) {
        sent += 1;
        yield create(WatchRunResponseSchema, {
          events: [{ cursor: `e${sent}`, payload: { data, encoding: "bytes" } }],
        });
      }
    } finally {
      closed.resolve();
    }
  });
  const calls = new Calls(everyoneIsOwner);
  const log = SILENT_LOG;
  const server = createGrpcServer({ bindings: [watch], calls, log, slowReaderMs: 150 });
  const port = await server.listen("127.0.0.1:0");
  const client = connect(`http://127.0.0.1:${port}`);
  try {
    const stream = client.request({
      ":method": "POST",
      ":path": `/${method.parent.typeName}/${method.name}`,
      "content-type": "application/grpc",
      te: "trailers",
    });
    stream.end(Buffer.alloc(ENVELOPE_BYTES));
    await closed.promise;
    expect(sent).toBeLessThan(EVENTS_MAX / 10);

    const trailers = once(stream, "trailers");
    const pieces: Buffer[] = [];
    for await (const piece of stream) pieces.push(Buffer.from(piece));
    const cursors = messagesIn(Buffer.concat(pieces)).map(
      (bytes) => fromBinary(WatchRunResponseSchema, bytes).events[0]?.cursor,
    );
    expect(cursors).toEqual(Array.from({ length: sent }, (_, index) => `e${index + 1}`));
    const [{ "grpc-status": code, "grpc-status-details-bin": details }] = await trailers;
    const status = fromBinary(StatusSchema, Buffer.from(String(details), "base64"));
    expect([code, Buffer.from(status.details[0]?.value ?? []).toString()]).toEqual([
      "8",
      expect.stringContaining("SLOW_CONSUMER"),
    ]);
    await expect.poll(() => calls.size).toBe(0);
  } finally {
    client.close();
    server.kill();
  }
});
