/**
 * Goal: a watcher by Connect that does not read is let go, and not much is taken for it.
 * Method: a real socket that does not read, against a stream without an end.
 */

import { once } from "node:events";
import { createServer } from "node:http";
import { type AddressInfo, connect } from "node:net";
import { create } from "@bufbuild/protobuf";
import { EventService, WatchRunResponseSchema } from "@pawl/proto";
import { expect, test } from "vitest";
import { everyoneIsOwner } from "../auth/authenticate.ts";
import { SILENT_LOG } from "../lib/log.ts";
import { serverStream } from "../rpc/binding.ts";
import { Calls } from "../rpc/calls.ts";
import { createRpcHandler } from "./rpc-handler.ts";

const EVENTS_MAX = 10_000;
const PATH = "/pawl.v1.EventService/WatchRun";

test("a watcher that does not read is let go, and its watch ends", async () => {
  let sent = 0;
  const closed = Promise.withResolvers<void>();
  const data = Buffer.alloc(50_000, "x");
  const watch = serverStream(EventService.method.watchRun, async function* () {
    try {
      while (sent < EVENTS_MAX) {
        sent += 1;
        yield create(WatchRunResponseSchema, { events: [{ payload: { data } }] });
      }
    } finally {
      closed.resolve();
    }
  });
  const calls = new Calls(everyoneIsOwner);
  const log = SILENT_LOG;
  const handle = createRpcHandler({ bindings: [watch], calls, log, slowReaderMs: 150 });
  const over = Promise.withResolvers<void>();
  const server = createServer((request, response) => {
    handle(PATH, request, response).then(over.resolve, over.resolve);
  });
  server.listen(0, "127.0.0.1");
  await once(server, "listening");
  const socket = connect((server.address() as AddressInfo).port, "127.0.0.1");
  try {
    socket.pause();
    const message = JSON.stringify({ runId: "r" });
    const length = Buffer.alloc(5);
    length.writeUInt32BE(message.length, 1);
    socket.write(
      `POST ${PATH} HTTP/1.1\r\nhost: localhost\r\ncontent-type: application/connect+json\r\n` +
        `content-length: ${5 + message.length}\r\n\r\n`,
    );
    socket.write(length);
    socket.write(message);
    await closed.promise;
    await over.promise;
    expect(sent).toBeLessThan(EVENTS_MAX / 10);
    await expect.poll(() => calls.size).toBe(0);
  } finally {
    socket.destroy();
    server.closeAllConnections();
    server.close();
  }
});
