/**
 * The store's thread: one database connection whose fsync never blocks the server's event loop.
 * It imports nothing but SQLite and the operations, so that it stays small.
 */
import { parentPort, workerData } from "node:worker_threads";
import type { Core } from "./core.ts";
import { invoke } from "./core.ts";
import type { Database } from "./database.ts";
import { toStoreError } from "./database.ts";
import type { SqliteSettings } from "./link.ts";
import { openCore } from "./link.ts";
import type { Reply, Request } from "./messages.ts";
import { packError, packRefusal } from "./messages.ts";
import { unpackBatch } from "./packed.ts";

function serve(settings: SqliteSettings): void {
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
  port.on("message", (request: Request) => {
    const { id } = request;
    try {
      switch (request.method) {
        case "commit":
          send({ kind: "done", id, value: core.commit(unpackBatch(request.batch)) });
          break;
        case "close":
          db.close();
          send({ kind: "done", id, value: undefined });
          port.close();
          break;
        default:
          send({ kind: "done", id, value: invoke(core, request.method, request.args) });
      }
    } catch (cause) {
      send({ kind: "failed", id, error: packError(toStoreError(cause)) });
    }
  });
  send({ kind: "ready" });
}

serve(workerData as SqliteSettings);
