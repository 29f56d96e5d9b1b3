/**
 * The store's thread: one database connection whose fsync never blocks the server's event loop.
 * It imports nothing but SQLite and the operations, so that it stays small.
 */
import { availableParallelism } from "node:os";
import { parentPort, receiveMessageOnPort, workerData } from "node:worker_threads";
import { monotonicMs } from "../../lib/clock.ts";
import { toStoreError } from "./database.ts";
import { type OpenFile, openFile } from "./link.ts";
import type { Reply, Request, ThreadData } from "./messages.ts";
import { packError, packRefusal } from "./messages.ts";
import { execute } from "./operations.ts";
import { unpackBatch } from "./packed.ts";

/**
 * Serves one request after the other. Between them the thread sleeps on `bell` rather than in an
 * event loop: it has nothing else to do, and a futex wakes it several times faster.
 */
function serve({ settings, bell }: ThreadData): void {
  const port = parentPort;
  if (port === null) throw new Error("This file runs in a worker thread only.");
  const send = (reply: Reply): void => port.postMessage(reply);
  let opened: OpenFile;
  try {
    opened = openFile(settings);
  } catch (cause) {
    send(packRefusal(cause));
    return;
  }
  const rest = createRest(bell);
  send({ kind: "ready" });
  let isLone = false;
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
        opened.db.close();
        send({ kind: "done", id: request.id, value: undefined });
        port.close();
        return;
      }
      isLone = request.method === "commit" && request.batch.rest.length <= LONE_WRITES;
      send(answer(opened, request, settings.path));
    }
    rest(rung, isLone);
  }
}

/** The commits of one or two runs that go step after step. */
const LONE_WRITES = 2;
/** How long the thread looks for the next request before it sleeps. */
const LOOK_MS = 0.3;
/** Requests that come at longer intervals are not looked for. */
const GAP_MS = 1;

/**
 * Waits until the bell is not what it was. The next step of a lone run comes within some 0.2 ms, and
 * waking a core takes long, so that after such a commit and a short rest before it the thread looks
 * for a while before it sleeps. Meanwhile the server's thread sleeps (lib/awake.ts). Measured with
 * both on two cores: the median step of a lone run took 0.31 ms instead of 0.45 ms.
 */
function createRest(bell: Int32Array<SharedArrayBuffer>): (rung: number, isLone: boolean) => void {
  const mayLook = availableParallelism() > 1;
  let wasShort = false;
  return (rung, isLone) => {
    const from = monotonicMs();
    if (mayLook && isLone && wasShort) {
      while (Atomics.load(bell, 0) === rung && monotonicMs() - from < LOOK_MS);
    }
    Atomics.wait(bell, 0, rung);
    wasShort = monotonicMs() - from < GAP_MS;
  };
}

function answer(
  { db, commit, watch }: OpenFile,
  request: Exclude<Request, { method: "close" }>,
  file: string,
): Reply {
  const { id } = request;
  try {
    const value =
      request.method === "commit"
        ? commit(unpackBatch(request.batch))
        : execute(db, request.method, request.args);
    watch.check();
    return { kind: "done", id, value };
  } catch (cause) {
    return { kind: "failed", id, error: packError(toStoreError(cause, file)) };
  }
}

serve(workerData as ThreadData);
