/**
 * PostgreSQL comes, goes and hangs. Goal: calls fail quickly while it is away, work by themselves
 * when it is back, and what was acknowledged is there. Method: a cluster of this file's own that is
 * killed, stopped and frozen.
 */
import { once } from "node:events";
import { connect, createServer, type Socket } from "node:net";
import { setTimeout as sleep } from "node:timers/promises";
import { afterAll, beforeAll, expect, test } from "vitest";
import { openStore } from "../../server/src/store/open.ts";
import type { Store } from "../../server/src/store/store.ts";
import { StoreError } from "../../server/src/store/store-error.ts";
import { type Postgres, startPostgres } from "../harness/postgres.ts";
import { change, commit, getJournal, getRun, insertion, makeHeader } from "./make.ts";

let cluster: Postgres;

beforeAll(async () => {
  // Commits must survive a crash of the server, as in production.
  cluster = await startPostgres({ fsync: true });
});

afterAll(async () => {
  await cluster.stop();
});

/** Until it can write and read, for which it has a connection each. */
async function untilUp(store: Store): Promise<void> {
  const isUp = () =>
    Promise.all([store.ping(), getRun(store, "none")]).then(
      () => true,
      () => false,
    );
  await expect.poll(isUp, { interval: 50 }).toBe(true);
}

test("a server that is not there yet: the store opens, calls fail, later they work", async () => {
  const url = await cluster.createDatabase("later");
  await cluster.halt();
  const messages: string[] = [];
  const store = await openStore(url, { onMessage: (message) => messages.push(message) });
  try {
    await expect(store.ping()).rejects.toThrow(StoreError);
    await expect(commit(store, insertion(makeHeader("r1")))).rejects.toThrow(/ECONNREFUSED/);
    await expect.poll(() => messages).toHaveLength(1);
    expect(messages[0]).toMatch(/cannot be reached.*ECONNREFUSED.*retrying/);
    await cluster.start();
    await untilUp(store);
    expect((await commit(store, insertion(makeHeader("r1")))).confirmed).toEqual([true]);
    expect(messages).toHaveLength(2);
  } finally {
    await store.close();
  }
});

test("a crash in the middle of commits: none that was acknowledged is lost, work continues", async () => {
  const store = await openStore(await cluster.createDatabase("crash"));
  try {
    await commit(store, insertion(makeHeader("r1")));
    let acknowledged = 1;
    let failures = 0;
    const work = (async () => {
      while (failures === 0 || acknowledged < 50) {
        try {
          const { confirmed } = await commit(store, change("r1", 0, acknowledged));
          expect(confirmed).toEqual([true]);
          acknowledged += 1;
        } catch (error) {
          expect(error).toBeInstanceOf(StoreError);
          failures += 1;
          await sleep(20);
          // It may have been committed: the same as the engine, look.
          const seq = await getRun(store, "r1").then(
            (run) => run?.seq,
            () => undefined,
          );
          if (seq !== undefined) {
            expect(seq).toBeGreaterThanOrEqual(acknowledged);
            acknowledged = seq;
          }
        }
      }
    })();
    await sleep(300);
    await cluster.kill();
    await sleep(500);
    await cluster.start();
    await work;
    await untilUp(store);
    expect(await getJournal(store, "r1")).toHaveLength(acknowledged);
    expect(failures).toBeGreaterThan(0);
  } finally {
    await store.close();
  }
});

test("a server that hangs is given up after a while, and found again", async () => {
  const store = await openStore(await cluster.createDatabase("hang"));
  const pid = cluster.pid;
  if (pid === undefined) throw new Error("The cluster is down.");
  try {
    await commit(store, insertion(makeHeader("r1")));
    // Commits wait for a lock that an open transaction holds: as good as a hanging server.
    await using blocker = await block(cluster.databaseUrl("hang"));
    await expect(commit(store, change("r1", 0, 1))).rejects.toThrow(StoreError);
    await blocker.release();
    await untilUp(store);
    expect((await commit(store, change("r1", 0, 1))).confirmed).toEqual([true]);
  } finally {
    await store.close();
  }
});

test("a connection whose other end went silent is given up, and made anew", async () => {
  const url = new URL(await cluster.createDatabase("silent"));
  await using proxy = await forward(Number(url.port));
  url.port = String(proxy.port);
  const messages: string[] = [];
  const store = await openStore(url.href, { onMessage: (message) => messages.push(message) });
  try {
    await commit(store, insertion(makeHeader("r1")));
    proxy.isSilent = true;
    await expect(commit(store, change("r1", 0, 1))).rejects.toThrow(StoreError);
    await expect.poll(() => messages).toContainEqual(expect.stringMatching(/cannot be reached/));
    // From now on calls fail at once, and do not wait for an answer that does not come.
    const begin = performance.now();
    for (let i = 0; i < 20; i += 1) await expect(store.ping()).rejects.toThrow(StoreError);
    expect(performance.now() - begin).toBeLessThan(5_000);
    proxy.isSilent = false;
    await untilUp(store);
    const seq = (await getRun(store, "r1"))?.seq ?? 0;
    expect((await commit(store, change("r1", 0, seq))).confirmed).toEqual([true]);
  } finally {
    await store.close();
  }
});

/** A way to the server that can fall silent in both directions without closing anything. */
async function forward(port: number) {
  const sockets = new Set<Socket>();
  const proxy = {
    port: 0,
    isSilent: false,
    async [Symbol.asyncDispose]() {
      for (const socket of sockets) socket.destroy();
      server.close();
      await once(server, "close");
    },
  };
  const pass = (from: Socket, to: Socket): void => {
    sockets.add(from);
    from.on("data", (data) => {
      if (!proxy.isSilent) to.write(data);
    });
    from.on("error", () => to.destroy());
    from.on("close", () => {
      sockets.delete(from);
      to.destroy();
    });
  };
  const server = createServer((inner) => {
    const outer = connect(port, "127.0.0.1");
    pass(inner, outer);
    pass(outer, inner);
  });
  server.listen(0, "127.0.0.1");
  await once(server, "listening");
  const address = server.address();
  if (typeof address === "object" && address !== null) proxy.port = address.port;
  return proxy;
}

/** Holds the lock of every run until released. */
async function block(url: string) {
  const { default: pg } = await import("pg");
  const client = new pg.Client({ connectionString: url });
  await client.connect();
  await client.query("BEGIN; LOCK TABLE pawl.run IN EXCLUSIVE MODE");
  let isOpen = true;
  const release = async () => {
    if (isOpen) await client.end();
    isOpen = false;
  };
  return { release, [Symbol.asyncDispose]: release };
}
