/**
 * The store's thread: one database connection whose fsync never blocks the server's event loop.
 * It imports nothing but SQLite and the operations, so that it stays small.
 */
import { parentPort, receiveMessageOnPort, workerData } from "node:worker_threads";
import type { Core } from "./core.ts";
import { invoke } from "./core.ts";
import type { Database } from "./database.ts";
import { toStoreError } from "./database.ts";
import { openCore } from "./link.ts";
import type { Reply, Request, ThreadData } from "./messages.ts";
import { packError, packRefusal } from "./messages.ts";
import { unpackBatch } from "./packed.ts";

/**
 * Answers one request after the other. Between them the thread sleeps on `bell` rather than in an
 * event loop: it has nothing else to do, and a futex wakes it several times faster.
 */
function serve({ settings, bell }: ThreadData): void {
  const port = parentPort;
  if (port === null) throw new Error("This file runs in a worker thread only.");
  const send = (reply: Reply): void => port.postMessage(reply);
  let opened: { db: Database; core: Core };
  try {
    opened = openCore(settings);
  } catch (cause) {
    send(packRefusal(cause));
    return;
  }
  const { db, core } = opened;
  send({ kind: "ready" });
  for (;;) {
    // Read before the queue is: a request that comes in between has rung, and the wait ends at once.
    const rung = Atomics.load(bell, 0);
    for (
      let next = receiveMessageOnPort(port);
      next !== undefined;
      next = receiveMessageOnPort(port)
    ) {
      const request: Request = next.message;
      if (request.method === "close") {
        db.close();
        send({ kind: "done", id: request.id, value: undefined });
        port.close();
        return;
      }
      send(answer(core, request));
    }
    Atomics.wait(bell, 0, rung);
  }
}

function answer(core: Core, request: Exclude<Request, { method: "close" }>): Reply {
  const { id } = request;
  try {
    const value =
      request.method === "commit"
        ? core.commit(unpackBatch(request.batch))
        : invoke(core, request.method, request.args);
    return { kind: "done", id, value };
  } catch (cause) {
    return { kind: "failed", id, error: packError(toStoreError(cause)) };
  }
}

serve(workerData as ThreadData);
