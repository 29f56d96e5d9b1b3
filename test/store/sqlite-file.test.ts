/**
 * The SQLite store and its file. Goal: whatever is wrong with the file, the disk or the thread is
 * said clearly, and nothing that was acknowledged is lost. Method: real files, real processes.
 */
import { spawn } from "node:child_process";
import { once } from "node:events";
import { mkdtemp, readFile, rename, rm, stat, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { createInterface } from "node:readline";
import { DatabaseSync } from "node:sqlite";
import { setTimeout as sleep } from "node:timers/promises";
import { afterEach, beforeEach, describe, expect, test } from "vitest";
import { openStore } from "../../server/src/store/open.ts";
import type { SqliteFaults } from "../../server/src/store/sqlite/link.ts";
import { openSqliteStore } from "../../server/src/store/sqlite/store.ts";
import type { Store } from "../../server/src/store/store.ts";
import { StoreError } from "../../server/src/store/store-error.ts";
import {
  bytes,
  CALLER,
  change,
  commit,
  getJournal,
  getRun,
  insertion,
  makeEntry,
  makeHeader,
  ORG,
} from "./make.ts";

let folder = "";
let path = "";
const open: Store[] = [];

beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), "pawl-sqlite-"));
  path = join(folder, "pawl.db");
});

afterEach(async () => {
  await Promise.all(open.splice(0).map((store) => store.close()));
  await rm(folder, { recursive: true });
});

async function opened(store: Promise<Store>): Promise<Store> {
  open.push(await store);
  return store;
}

function openWith(thread: boolean, faults: SqliteFaults): Promise<Store> {
  return opened(openSqliteStore({ path, migrate: true, thread, faults }));
}

const placements: [string, boolean][] = [
  ["in a thread", true],
  ["on the main thread", false],
];

describe.each(placements)("%s", (_, thread) => {
  test.each(["", "-wal"])("nothing is acknowledged once the file%s is gone", async (suffix) => {
    const store = await openWith(thread, {});
    const file = `${path}${suffix}`;
    await store.ping(true);
    await rename(file, `${file}.away`);
    await sleep(1_100);
    await expect(store.ping(true)).rejects.toThrow(/pawl\.db was deleted or replaced/);
    // Another file of the same name is not the one that is open.
    await writeFile(file, "");
    await expect(commit(store, insertion(makeHeader("r")))).rejects.toThrow(StoreError);
    await expect(store.listWorkflows(CALLER)).rejects.toThrow(StoreError);
    await rename(`${file}.away`, file);
    await store.ping(true);
  });

  test("a second server is refused until the first is gone", async () => {
    const first = await opened(openStore(path, { thread }));
    await commit(first, insertion(makeHeader("r1")));
    const second = openStore(path, { thread });
    await expect(second).rejects.toMatchObject({ name: "StartupError", code: "IN_USE" });
    await expect(second).rejects.toThrow(/in use by another server/);
    // The attempt has not loosened the first one's hold.
    await expect(openStore(path, { thread })).rejects.toMatchObject({ code: "IN_USE" });
    await commit(first, insertion(makeHeader("r2")));
    await first.close();
    const third = await opened(openStore(path, { thread }));
    expect((await getRun(third, "r2"))?.runId).toBe("r2");
  });

  test("a file that is no database is refused and left alone", async () => {
    await writeFile(path, "Dear diary, ".repeat(1_000));
    const before = await readFile(path);
    await expect(openStore(path, { thread })).rejects.toMatchObject({ code: "NOT_A_DATABASE" });
    expect(await readFile(path)).toEqual(before);
  });

  test("another program's database is refused and left alone", async () => {
    const other = new DatabaseSync(path);
    other.exec("CREATE TABLE notes (text)");
    other.close();
    const before = await readFile(path);
    const attempt = openStore(path, { thread });
    await expect(attempt).rejects.toMatchObject({ code: "NOT_A_DATABASE" });
    await expect(attempt).rejects.toThrow(/not a Pawl database/);
    expect(await readFile(path)).toEqual(before);
  });

  test("a folder is made if need be; where that is impossible, it is said", async () => {
    const deep = await opened(openStore(join(folder, "a", "b", "pawl.db"), { thread }));
    await deep.ping();
    await writeFile(join(folder, "file"), "");
    const attempt = openStore(join(folder, "file", "pawl.db"), { thread });
    await expect(attempt).rejects.toMatchObject({ code: "NOT_WRITABLE" });
    await expect(openStore(folder, { thread })).rejects.toMatchObject({ code: "NOT_WRITABLE" });
  });

  test("a full disk fails commits and nothing else; with space again they work", async () => {
    const store = await openWith(thread, { pagesMax: 120 });
    const big = (n: number) =>
      insertion(makeHeader(`big-${n}`), { entries: [makeEntry(1, { payload: large })] });
    const large = bytes("x".repeat(50_000));
    const stored: number[] = [];
    let failure: unknown;
    for (let n = 0; n < 20 && failure === undefined; n += 1) {
      await commit(store, big(n)).then(
        () => stored.push(n),
        (error: unknown) => {
          failure = error;
        },
      );
    }
    expect(failure).toBeInstanceOf(StoreError);
    expect(String(failure)).toMatch(/full/);
    expect(stored.length).toBeGreaterThan(2);
    await expect(commit(store, insertion(makeHeader("small")), big(99))).rejects.toThrow(
      StoreError,
    );
    expect(await getRun(store, "small")).toBeUndefined();
    for (const n of stored) expect(await getJournal(store, `big-${n}`)).toHaveLength(1);
    const gone = stored.map((n) =>
      change(`big-${n}`, 0, 1, { entries: [], seq: 1, deleteRun: true }),
    );
    await commit(store, ...gone);
    expect((await commit(store, big(99))).confirmed).toEqual([true]);
  });

  test("a newer schema is refused", async () => {
    await (await openStore(path, { thread })).close();
    edit("INSERT INTO migration VALUES ('9999_future', 'x', 0)");
    const attempt = openStore(path, { thread });
    await expect(attempt).rejects.toMatchObject({ code: "SCHEMA_NEWER" });
    await expect(attempt).rejects.toThrow(/9999_future/);
  });

  test("a schema that another version of a migration made is refused", async () => {
    await (await openStore(path, { thread })).close();
    edit("UPDATE migration SET hash = 'x'");
    await expect(openStore(path, { thread })).rejects.toMatchObject({ code: "SCHEMA_CHANGED" });
  });
});

/** Changes a database that no server has open. */
function edit(sql: string): void {
  const db = new DatabaseSync(path);
  db.exec(sql);
  db.close();
}

test("in memory nothing touches the disk", async () => {
  const store = await opened(openStore(":memory:"));
  await commit(store, insertion(makeHeader("r1")));
  expect((await getRun(store, "r1"))?.runId).toBe("r1");
  await expect(stat(":memory:")).rejects.toThrow(/ENOENT/);
});

test.each(["", "mysql://root:pw@localhost/x", "sqlite:", "postgres://a:pw@b:port/c"])(
  "the URL %j is refused",
  async (url) => {
    await expect(openStore(url)).rejects.toMatchObject({ code: "BAD_URL" });
    await expect(openStore(url)).rejects.not.toThrow(/pw/);
  },
);

test("a thread that ran out of memory is replaced, and nothing is lost", async () => {
  const store = await openWith(true, { heapMb: 40 });
  await commit(store, insertion(makeHeader("r1")));
  const entries = Array.from({ length: 60 }, (_, i) =>
    makeEntry(i + 2, { meta: { reason: "x".repeat(1_000_000) } }),
  );
  await commit(store, change("r1", 0, 1, { entries: entries.slice(0, 5) }));
  const all = { entries: 1_000, bytes: 1_000_000_000 };
  let failed: unknown;
  for (let n = 5; n < entries.length && failed === undefined; n += 5) {
    await commit(store, change("r1", 0, n + 1, { entries: entries.slice(n, n + 5) }))
      .then(() => store.readJournal(CALLER, "r1", 0, all))
      .catch((error: unknown) => {
        failed = error;
      });
  }
  expect(failed).toBeInstanceOf(StoreError);
  expect(String(failed)).toMatch(/thread has ended/);
  // Its header alone: all of its heads are too much for that heap.
  const [run] = await store.loadRuns([{ org: ORG, runId: "r1", afterSeq: 1_000 }]);
  expect(run?.header.seq).toBeGreaterThan(5);
  expect((await commit(store, insertion(makeHeader("r2")))).confirmed).toEqual([true]);
});

test("what was acknowledged before a SIGKILL is there", async () => {
  const child = spawn(process.execPath, [join(import.meta.dirname, "commit-forever.ts"), path], {
    stdio: ["ignore", "pipe", "inherit"],
  });
  const acknowledged: number[] = [];
  for await (const line of createInterface({ input: child.stdout })) {
    acknowledged.push(Number(line));
    if (acknowledged.length === 200) child.kill("SIGKILL");
  }
  if (child.exitCode === null && child.signalCode === null) await once(child, "exit");
  const store = await opened(openStore(path));
  const last = acknowledged.at(-1) ?? 0;
  expect(last).toBeGreaterThanOrEqual(200);
  const seq = (await getRun(store, "r1"))?.seq ?? 0;
  expect(seq).toBeGreaterThanOrEqual(last);
  expect((await getJournal(store, "r1")).map((entry) => entry.seq)).toEqual(
    Array.from({ length: seq }, (_, i) => i + 1),
  );
});

test("writes that the system refuses fail commits; when it allows them again they work", async (context) => {
  // A limit on file sizes: what a quota or a broken disk looks like to SQLite (an I/O error).
  const child = spawn(
    "sh",
    [
      "-c",
      'ulimit -S -f 2000 && exec "$0" "$@"',
      process.execPath,
      join(import.meta.dirname, "commit-forever.ts"),
      path,
      "--retry",
    ],
    { stdio: ["ignore", "pipe", "inherit"] },
  );
  const lines = createInterface({ input: child.stdout });
  let raised = false;
  let acknowledged = 0;
  let failedAt = 0;
  for await (const line of lines) {
    if (line.startsWith("failed")) {
      failedAt ||= acknowledged;
      if (!raised) {
        raised = true;
        const limit = spawn("prlimit", ["--pid", String(child.pid), "--fsize=unlimited"]);
        limit.on("error", () => child.kill("SIGKILL"));
      }
    } else {
      acknowledged = Number(line);
      if (failedAt > 0 && acknowledged > failedAt + 20) child.kill("SIGKILL");
    }
  }
  if (failedAt > 0 && acknowledged === failedAt) context.skip("There is no prlimit command here.");
  expect(failedAt).toBeGreaterThan(10);
  const store = await opened(openStore(path));
  expect((await getRun(store, "r1"))?.seq).toBeGreaterThanOrEqual(acknowledged);
  expect(await getJournal(store, "r1")).toHaveLength((await getRun(store, "r1"))?.seq ?? 0);
});
