/** How soon watchers see what steps send, how much one worker may send, and what its steps pay for it. */
import { setTimeout as sleep } from "node:timers/promises";
import { create, fromBinary, toBinary } from "@bufbuild/protobuf";
import type { Client } from "@grpc/grpc-js";
import {
  type Event,
  EventService,
  RunService,
  WorkerServiceAttachRequestSchema,
} from "@pawl/proto";
import { connect, rpc, SessionWorker } from "../harness/protocol.ts";
import type { Bench } from "./bench.ts";
import { BenchServer } from "./product/server.ts";
import { median, percentile } from "./stats.ts";

const workflow = "bench-talk";
const words = 200;
const wordMs = 10;
const crowd = 1_000;
const crowdWords = 20;
/** Deltas sent in a second, for `deltas.rate`: somewhat more than are to be taken. */
const rate = 55_000;
const perMessage = 500;
const talkers = 8;
const payload = { data: new TextEncoder().encode('"a word or two"'), encoding: "json" };

function watch(
  client: Client,
  runId: string,
  onEvent: (event: Event) => void,
  afterCursor = "",
): () => void {
  const { watchRun } = EventService.method;
  const stream = client.makeServerStreamRequest(
    `/${EventService.typeName}/${watchRun.name}`,
    (bytes: Buffer) => bytes,
    (bytes: Buffer) => fromBinary(watchRun.output, bytes),
    Buffer.from(toBinary(watchRun.input, create(watchRun.input, { runId, afterCursor }))),
  );
  stream.on("data", ({ events }: { events: Event[] }) => events.forEach(onEvent));
  stream.on("error", () => undefined);
  return () => stream.cancel();
}

async function hold(client: Client, worker: SessionWorker, runId: string): Promise<number> {
  await rpc(client, RunService.method.startRun, { workflow, runId, input: payload });
  return (await worker.next(runId)).lease?.fence ?? 0;
}

/** The time from sending each of some words until the watchers have it, in ms. */
async function talk(sender: Client, watchers: readonly Client[], count: number): Promise<number[]> {
  const worker = await SessionWorker.open(sender, { workflows: [workflow] });
  const runId = crypto.randomUUID();
  const fence = await hold(sender, worker, runId);
  const sentAt: number[] = [];
  const tookMs: number[] = [];
  let joined = 0;
  const stops = watchers.map((client) =>
    watch(client, runId, ({ type, sequence }) => {
      if (type === "run.started") joined += 1;
      const sent = sentAt[sequence];
      if (type === "output.delta" && sent !== undefined) tookMs.push(performance.now() - sent);
    }),
  );
  while (joined < watchers.length) await sleep(5);
  await sleep(50);
  for (let sequence = 1; sequence <= count; sequence += 1) {
    sentAt[sequence] = performance.now();
    const event = { type: "output.delta", stepKey: "talk", attempt: 1, sequence, payload };
    void worker.publish(runId, fence, [event], sequence);
    await sleep(wordMs);
  }
  const deadline = performance.now() + 10_000;
  while (tookMs.length < count * watchers.length && performance.now() < deadline) await sleep(20);
  for (const stop of stops) stop();
  await worker.completeRun({ runId, fence, output: payload });
  worker.close();
  return tookMs.sort((a, b) => a - b);
}

/** `watch.local.p50`, `watch.fanout.1000`: from a worker to the watchers of its server. */
export async function benchWatch(bench: Bench): Promise<void> {
  if (!bench.wants("watch.local.p50", "watch.fanout.1000")) return;
  const store = await bench.createDatabase("sqlite");
  const server = await BenchServer.start({ store });
  const client = connect(server.address);
  const other = connect(server.address);
  try {
    if (bench.wants("watch.local.p50")) {
      const took = await talk(client, [other], words);
      bench.progress(`watch.local: p99 ${percentile(took, 99).toFixed(1)} ms`);
      bench.add("watch.local.p50", percentile(took, 50), "ms");
    }
    if (bench.wants("watch.fanout.1000")) {
      const took = await talk(
        client,
        Array.from({ length: crowd }, () => other),
        crowdWords,
      );
      const seen = took.length / (crowd * crowdWords);
      bench.progress(`watch.fanout: ${Math.round(seen * 100)} % of the words seen`);
      bench.add("watch.fanout.1000", percentile(took, 50), "ms");
    }
  } finally {
    client.close();
    other.close();
    await server.child.kill();
    await bench.dropDatabase(store);
  }
}

/** `watch.replica.p50`: from a worker at one server to a watcher at another. */
export async function benchWatchReplica(bench: Bench): Promise<void> {
  if (!bench.wants("watch.replica.p50")) return;
  const store = await bench.createDatabase("postgres");
  const servers = [await BenchServer.start({ store }), await BenchServer.start({ store })];
  const [here, there] = servers.map(({ address }) => connect(address));
  try {
    if (here === undefined || there === undefined) throw new Error("Two servers are needed.");
    const took = await talk(here, [there], words);
    bench.progress(`watch.replica: p99 ${percentile(took, 99).toFixed(1)} ms`);
    bench.add("watch.replica.p50", percentile(took, 50), "ms");
  } finally {
    here?.close();
    there?.close();
    for (const server of servers) await server.child.kill();
    await bench.dropDatabase(store);
  }
}

/** Entries of the run that is watched, for `watch.backlog.first`. */
const backlogSteps = 16_000;
const backlogTries = 7;

/**
 * `watch.backlog.first`: until a watcher that comes back to a long run, with the cursor of its first event,
 * is sent its first message.
 */
export async function benchBacklog(bench: Bench): Promise<void> {
  const name = "watch.backlog.first";
  if (!bench.wants(name)) return;
  const store = await bench.createDatabase("sqlite");
  const server = await BenchServer.start({ store });
  const client = connect(server.address);
  try {
    const worker = await SessionWorker.open(client, { workflows: [workflow] });
    const runId = "backlog";
    const fence = await hold(client, worker, runId);
    for (let done = 0; done < backlogSteps; done += perMessage) {
      const steps = Array.from({ length: perMessage }, (_, n) => `step#${done + n}`);
      await Promise.all(
        steps.map((stepKey) =>
          worker.stepCompleted({ runId, fence, stepKey, attempt: 1, output: payload }),
        ),
      );
    }
    const { cursor } = await firstEvent(client, runId, "");
    const took: number[] = [];
    for (let n = 0; n < backlogTries; n += 1)
      took.push((await firstEvent(client, runId, cursor)).ms);
    bench.progress(`${name}: ${took.map((ms) => ms.toFixed(0)).join(", ")} ms`);
    bench.add(name, median(took), "ms");
    await worker.completeRun({ runId, fence, output: payload });
    worker.close();
  } finally {
    client.close();
    await server.child.kill();
    await bench.dropDatabase(store);
  }
}

async function firstEvent(
  client: Client,
  runId: string,
  afterCursor: string,
): Promise<{ cursor: string; ms: number }> {
  const begin = performance.now();
  const first = Promise.withResolvers<string>();
  const stop = watch(client, runId, ({ cursor }) => first.resolve(cursor), afterCursor);
  const cursor = await first.promise;
  const ms = performance.now() - begin;
  stop();
  return { cursor, ms };
}

/** The p50 of a lone step of the worker, in ms. */
async function stepP50(
  worker: SessionWorker,
  runId: string,
  fence: number,
  forMs: number,
): Promise<number> {
  const took: number[] = [];
  const until = performance.now() + forMs;
  while (performance.now() < until) {
    const begun = performance.now();
    const stepKey = `step#${crypto.randomUUID()}`;
    await worker.stepCompleted({ runId, fence, stepKey, attempt: 1, output: payload });
    took.push(performance.now() - begun);
    await sleep(1);
  }
  return percentile(
    took.sort((a, b) => a - b),
    50,
  );
}

/** `deltas.rate`, `deltas.slowdown`: 50,000 deltas/s from one worker, and what its steps pay. */
export async function benchDeltas(bench: Bench): Promise<void> {
  if (!bench.wants("deltas.rate", "deltas.slowdown")) return;
  const store = await bench.createDatabase("sqlite");
  const server = await BenchServer.start({ store });
  const client = connect(server.address);
  try {
    const worker = await SessionWorker.open(client, { workflows: [workflow] });
    const fence = await hold(client, worker, "steps");
    const fences: number[] = [];
    for (let index = 0; index < talkers; index += 1)
      fences.push(await hold(client, worker, `talker-${index}`));
    const messages = fences.map((talker, index) => messageOf(`talker-${index}`, talker));
    const forMs = bench.options.quick ? 2_000 : 5_000;
    await stepP50(worker, "steps", fence, 1_000);
    const alone = await stepP50(worker, "steps", fence, forMs);
    let sent = 0;
    const begun = performance.now();
    const timer = setInterval(() => {
      const due = ((performance.now() - begun) / 1_000) * rate;
      for (; sent < due; sent += perMessage)
        worker.sendBytes(messages[(sent / perMessage) % talkers] ?? new Uint8Array(0));
    }, 5);
    const beside = await stepP50(worker, "steps", fence, forMs);
    clearInterval(timer);
    // The number of one more of each run says how many are on record by then.
    const event = { type: "end", stepKey: "talk", attempt: 1 };
    const ends = await Promise.all(
      fences.map((talker, index) => worker.publish(`talker-${index}`, talker, [event])),
    );
    const taken = ends.reduce((sum, { acknowledged }) => sum + acknowledged, 0);
    const seconds = (performance.now() - begun) / 1_000;
    bench.progress(
      `deltas: a step takes ${alone.toFixed(2)} ms alone, ${beside.toFixed(2)} ms beside`,
    );
    bench.add("deltas.rate", taken / seconds, "deltas/s");
    bench.add("deltas.slowdown", beside / alone, "x");
    worker.close();
  } finally {
    client.close();
    await server.child.kill();
    await bench.dropDatabase(store);
  }
}

/** Made once: what the sender itself costs is no part of it. */
function messageOf(runId: string, fence: number): Uint8Array {
  const event = { type: "output.delta", stepKey: "talk", attempt: 1, payload };
  const value = { runId, fence, events: Array.from({ length: perMessage }, () => event) };
  const frames = [{ id: 0, body: { case: "publishEvents" as const, value } }];
  return toBinary(
    WorkerServiceAttachRequestSchema,
    create(WorkerServiceAttachRequestSchema, { frames }),
  );
}
