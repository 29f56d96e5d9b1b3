/**
 * Goal: no matter who reads the log, and however badly, the server serves and ends as if it were not there.
 * Method: a server whose standard error is a pipe that is not read, then closed; and the bound on what
 * waits for a reader, with a stream that a test holds.
 */
import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { createInterface } from "node:readline";
import { Writable } from "node:stream";
import { expect, test } from "vitest";
import { outputTo } from "../../server/src/lib/log-output.ts";
import { createLog } from "../../server/src/lib/write-log.ts";
import { serverMain, withoutPawl } from "../harness/server.ts";

interface Serving {
  readonly child: ChildProcess;
  readonly url: string;
  [Symbol.asyncDispose](): Promise<void>;
}

/** Its standard error is left alone. */
async function serve(): Promise<Serving> {
  const folder = await mkdtemp(join(tmpdir(), "pawl-log-"));
  const ports = ["--grpc", "127.0.0.1:0", "--http", "127.0.0.1:0"];
  const args = [serverMain, "serve", "--store", ":memory:", "--json", ...ports];
  const child = spawn(process.execPath, args, {
    cwd: folder,
    env: { ...withoutPawl(process.env), PAWL_LOG: "debug" },
    stdio: ["ignore", "pipe", "pipe"],
  });
  const [line] = await once(createInterface({ input: child.stdout }), "line");
  return {
    child,
    url: (JSON.parse(String(line)) as { httpUrl: string }).httpUrl,
    async [Symbol.asyncDispose]() {
      if (child.exitCode === null && child.signalCode === null) {
        child.kill("SIGKILL");
        await once(child, "exit");
      }
      await rm(folder, { recursive: true, force: true });
    },
  };
}

/** Each start is a line of more than 600 bytes. */
async function start(url: string, from: number, count: number): Promise<void> {
  const numbers = Array.from({ length: count }, (_, index) => from + index);
  const pad = "x".repeat(190);
  await Promise.all(
    numbers.map(async (number) => {
      const body = JSON.stringify({
        workflow: `${pad}-none`,
        claim: true,
        runId: `${pad}-${number}`,
        traceparent: "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01",
      });
      const headers = { "content-type": "application/json" };
      const response = await fetch(`${url}/pawl.v1.RunService/StartRun`, {
        method: "POST",
        headers,
        body,
      });
      expect(response.status).toBe(200);
      await response.text();
    }),
  );
}

async function stop(child: ChildProcess): Promise<number | null> {
  const ended = once(child, "exit");
  child.kill("SIGTERM");
  await ended;
  return child.exitCode;
}

test("a reader that has stopped reading gets all when it continues, up to the last line", async () => {
  await using server = await serve();
  await start(server.url, 0, 1_000);
  const lines: string[] = [];
  const { stderr } = server.child;
  if (stderr === null) throw new Error("No standard error.");
  const read = createInterface({ input: stderr }).on("line", (line) => lines.push(line));
  const ended = once(read, "close");
  expect(await stop(server.child)).toBe(0);
  await ended;
  const events = lines.map((line) => (JSON.parse(line) as { event: string }).event);
  expect(events.filter((event) => event === "run.started")).toHaveLength(1_000);
  expect(events.at(-1)).toBe("server.stopped");
});

test("a reader that never reads again, and one that is gone, hold up neither work nor end", async () => {
  await using stuck = await serve();
  await start(stuck.url, 0, 1_000);
  expect(await stop(stuck.child)).toBe(0);
  await using gone = await serve();
  gone.child.stderr?.destroy();
  await start(gone.url, 0, 20);
  expect(await stop(gone.child)).toBe(0);
});

test("what waits for a reader is bounded, and what is left out is counted", () => {
  const taken: string[] = [];
  let go: (() => void) | undefined;
  const stream = new Writable({
    decodeStrings: false,
    write(line: string, _encoding, done) {
      taken.push(line);
      go = done;
    },
  });
  const log = createLog({ output: outputTo(stream) });
  for (let count = 0; count < 2_000; count += 1)
    log.info("test.line", { message: "y".repeat(1_000) });
  expect(stream.writableLength).toBeGreaterThan(1_000_000);
  expect(stream.writableLength).toBeLessThan(1_100_000);
  while (stream.writableLength > 0) go?.();
  const before = taken.length;
  log.info("test.again");
  while (stream.writableLength > 0) go?.();
  const events = taken.slice(before).map((line) => JSON.parse(line));
  expect(events).toMatchObject([
    { event: "log.dropped", level: "warn", lines: 2_000 - before },
    { event: "test.again" },
  ]);
});
