/**
 * Goal: a server inside a program serves the same contract, sessions included.
 * Method: run a step through a Session and plain calls over the in-process transport.
 */
import { spawn } from "node:child_process";
import { once } from "node:events";
import { mkdtemp, rm } from "node:fs/promises";
import { hostname, tmpdir } from "node:os";
import { join } from "node:path";
import type { create } from "@bufbuild/protobuf";
import { Code, ConnectError, createClient } from "@connectrpc/connect";
import {
  RunService,
  RunStatus,
  type ServerFrame,
  WorkerService,
  type WorkerServiceAttachRequestSchema,
} from "@pawl/proto";
import { createEmbedded } from "@pawl/server";
import { expect, test } from "vitest";

type FrameInit = Parameters<typeof create<typeof WorkerServiceAttachRequestSchema>>[1];

/** What a worker sends, as an iterable that is filled while it is read. */
function pushable<T>() {
  const queue: T[] = [];
  let wake: () => void = () => undefined;
  let ended = false;
  async function* iterate(): AsyncIterable<T> {
    while (!ended || queue.length > 0) {
      const next = queue.shift();
      if (next !== undefined) yield next;
      else await new Promise<void>((resolve) => (wake = resolve));
    }
  }
  return {
    iterable: iterate(),
    push(item: T) {
      queue.push(item);
      wake();
    },
    end() {
      ended = true;
      wake();
    },
  };
}

test("a run is executed through a session in process", async () => {
  const server = await createEmbedded({ logLevel: "off" });
  const runs = createClient(RunService, server.transport);
  const worker = createClient(WorkerService, server.transport);
  const out = pushable<NonNullable<FrameInit>>();
  const send = (...frames: NonNullable<NonNullable<FrameInit>["frames"]>) => out.push({ frames });
  send(
    {
      body: {
        case: "hello",
        value: {
          protocolVersion: 1,
          worker: { workerId: "w", instanceId: "w1", workflows: [{ name: "greet" }] },
        },
      },
    },
    { body: { case: "credits", value: { count: 1 } } },
  );
  const seen: string[] = [];
  const started = Promise.withResolvers<void>();
  const done = (async () => {
    for await (const { frames } of worker.attach(out.iterable)) {
      for (const frame of frames) {
        seen.push(
          frame.body.case === "reply"
            ? String(frame.body.value.result.case)
            : String(frame.body.case),
        );
        await react(frame);
      }
    }
  })();
  async function react(frame: ServerFrame): Promise<void> {
    if (frame.body.case === "welcome") {
      const { existing } = await runs.startRun({ workflow: "greet", runId: "r1" });
      expect(existing).toBe(false);
      started.resolve();
    }
    if (frame.body.case === "dispatch") {
      const { runId = "", fence = 0 } = frame.body.value.item?.lease ?? {};
      const output = { data: Buffer.from('"hi"') };
      send(
        { body: { case: "dispatchAck", value: { runId, fence } } },
        {
          id: 1,
          body: {
            case: "stepCompleted",
            value: { runId, fence, stepKey: "a", attempt: 1, output },
          },
        },
        { id: 2, body: { case: "completeRun", value: { runId, fence, output } } },
      );
    }
    if (frame.body.case === "reply" && frame.body.value.id === 2) out.end();
  }
  await started.promise;
  const { run } = await runs.waitRun({ runId: "r1" });
  expect(run?.status).toBe(RunStatus.COMPLETED);
  expect(Buffer.from(run?.output?.data ?? []).toString()).toBe('"hi"');
  await done;
  expect(seen).toEqual(["welcome", "dispatch", "stepCompleted", "completeRun"]);
  await server.close();
  await expect(runs.getRun({ runId: "r1" })).rejects.toMatchObject({ code: Code.Unavailable });
});

test("a program that was killed continues with its run at once, and is known by name before", async () => {
  const folder = await mkdtemp(join(tmpdir(), "pawl-embedded-"));
  const store = join(folder, "pawl.db");
  const victim = spawn(process.execPath, [join(import.meta.dirname, "embedded-victim.ts"), store], {
    stdio: ["ignore", "pipe", "inherit"],
  });
  const [said] = await once(victim.stdout, "data");
  const gone = once(victim, "exit");
  victim.kill("SIGKILL");
  await gone;
  const server = await createEmbedded({ store, logLevel: "off" });
  try {
    const runs = createClient(RunService, server.transport);
    const claim = { workflow: "script", runId: "x", claim: true };
    const { claimed } = await runs.startRun(claim);
    expect(claimed?.lease?.fence).toBeGreaterThan(Number(said));
    const taken = await runs.startRun(claim).catch(ConnectError.from);
    expect(String(taken)).toContain(`is being executed by "${hostname()}:${process.pid}"`);
    // Nor is it taken away from this one later.
    await new Promise((resolve) => setTimeout(resolve, 2_500));
    expect((await runs.getRun({ runId: "x" })).run?.fence).toBe(claimed?.lease?.fence);
  } finally {
    await server.close();
    await rm(folder, { recursive: true });
  }
});

test("an unknown run is refused as over the wire, and closing twice is fine", async () => {
  const server = await createEmbedded({ logLevel: "off" });
  const runs = createClient(RunService, server.transport);
  const error = await runs.getRun({ runId: "none" }).catch(ConnectError.from);
  expect(error).toMatchObject({ code: Code.NotFound });
  await Promise.all([server.close(), server.close()]);
});
