/**
 * Odd requests to every RPC, over gRPC, Connect and REST, and odd frames in sessions, by a seed:
 * `node test/fuzz/wire.ts --seed N --seconds N`. Whatever is sent, the server has an answer that is no
 * INTERNAL, continues to serve others, and does not grow without end.
 */

import { readFile } from "node:fs/promises";
import { create, type DescMessage, type DescMethod, toBinary } from "@bufbuild/protobuf";
import { timestampMs } from "@bufbuild/protobuf/wkt";
import type { Client } from "@grpc/grpc-js";
import * as contract from "@pawl/proto";
import {
  ClientFrameSchema,
  RunService,
  WorkerFrameSchema,
  WorkerService,
  WorkerServiceAttachRequestSchema,
} from "@pawl/proto";
import { waitIdOf } from "../../server/src/model/wait-id.ts";
import { Random } from "../chaos/random.ts";
import { readNumber, readOptions } from "../harness/command-line.ts";
import { connect, openWorker, rpc } from "../harness/protocol.ts";
import { startServer, type TestServer } from "../harness/server.ts";
import { refusalOf } from "../rpc/clients.ts";
import { type Known, Values } from "./values.ts";

const CALL_MS = 1_000;
const ROUND = 150;
/** Of the server's memory, beyond what the first rounds have taken. */
const GROWTH_MIB = 500;
/** That a worker holds in each round. */
const RUNS = 4;

export interface Finding {
  readonly what: string;
  readonly why: string;
}

export interface FuzzReport {
  readonly seed: number;
  readonly requests: number;
  readonly findings: readonly Finding[];
  /** How often each outcome came, to see that not all requests end at the first look. */
  readonly outcomes: ReadonlyMap<string, number>;
}

/** The first operator key ends access without a key, and with it all that a fuzz without one can try. */
const MAKES_KEYS: ReadonlySet<string> = new Set(["CreateKey", "POST /v1/auth/apikeys"]);

const METHODS: readonly DescMethod[] = Object.values(contract)
  .flatMap((one) =>
    typeof one === "object" && "kind" in one && one.kind === "service" ? one.methods : [],
  )
  .filter(({ name }) => !MAKES_KEYS.has(name));

class WireFuzz {
  readonly #random: Random;
  #values: Values;
  readonly #server: TestServer;
  readonly #client: Client;
  readonly #operations: readonly Operation[];
  readonly findings = new Map<string, Finding>();
  readonly outcomes = new Map<string, number>();
  requests = 0;

  constructor(seed: number, server: TestServer, client: Client, operations: readonly Operation[]) {
    this.#random = new Random(seed);
    this.#values = new Values(this.#random, {});
    this.#server = server;
    this.#client = client;
    this.#operations = operations;
  }

  /** Some requests at once, of all kinds, and a look at what came of them. */
  async round(known: Known): Promise<void> {
    this.#values = new Values(this.#random, known);
    const kinds = [
      () => this.#grpc(this.#random.pick(METHODS)),
      () => this.#connect(this.#random.pick(METHODS)),
      () => this.#rest(this.#random.pick(this.#operations)),
    ];
    const calls = Array.from({ length: ROUND }, () => this.#random.pick(kinds)());
    await Promise.all([...calls, this.#workerStream(), this.#clientStream()]);
    this.requests += ROUND;
    for (const runId of known.run_id ?? [])
      for (const part of ["", "/journal", "/signals", "/steps/a", "/events?fromNow=true"])
        await this.#http(`GET run${part}`, "GET", `/v1/runs/${runId}${part}`, "", undefined);
  }

  found(what: string, why: string): void {
    const key = `${what}: ${why.replaceAll(/[0-9a-f-]{36}|\d+/g, "N").slice(0, 120)}`;
    if (!this.findings.has(key)) this.findings.set(key, { what, why });
  }

  #count(outcome: string): void {
    this.outcomes.set(outcome, (this.outcomes.get(outcome) ?? 0) + 1);
  }

  #grpc(method: DescMethod): Promise<void> {
    const path = `/${method.parent.typeName}/${method.name}`;
    const count = method.methodKind === "client_streaming" ? this.#random.int(0, 4) : 1;
    const messages = Array.from({ length: count }, () => this.#values.bytes(method.input));
    if (method.methodKind === "bidi_streaming") return Promise.resolve();
    return new Promise((resolve) => {
      const call = this.#client.makeBidiStreamRequest(path, asIs, asIs, {
        deadline: Date.now() + CALL_MS,
      });
      call.on("data", () => undefined);
      call.on("error", (error) => {
        const { code, reason, message } = refusalOf(error);
        this.#count(`grpc ${reason || code}`);
        // What we gave up, or what is larger than any answer.
        const isFine = reason === "" ? code === 1 || code === 4 : reason !== "INTERNAL";
        if (!isFine) this.found(`gRPC ${method.name}`, `${code} ${reason} ${message}`);
        resolve();
      });
      call.on("end", () => {
        this.#count("grpc OK");
        resolve();
      });
      for (const bytes of messages) call.write(Buffer.from(bytes));
      call.end();
    });
  }

  async #connect(method: DescMethod): Promise<void> {
    if (method.methodKind !== "unary") return;
    const isJson = this.#random.chance(0.7);
    const body = isJson
      ? Buffer.from(JSON.stringify(this.#values.json(method.input)))
      : this.#values.bytes(method.input);
    const broken = this.#random.chance(0.1) ? this.#values.mutated(body) : body;
    const type = isJson ? "application/json" : "application/proto";
    const path = `/${method.parent.typeName}/${method.name}`;
    await this.#http(`Connect ${method.name}`, "POST", path, type, broken);
  }

  async #rest({ method, path, query }: Operation): Promise<void> {
    const filled = path.replaceAll(/\{(\w+)\}/g, (_, name: string) =>
      encodeURIComponent(this.#values.text(snake(name)).toWellFormed()),
    );
    const search = new URLSearchParams();
    for (const name of query)
      if (this.#random.chance(0.25))
        search.set(name, this.#values.text(snake(name)).toWellFormed().slice(0, 500));
    const body = method === "GET" || method === "DELETE" ? undefined : this.#values.body();
    const type = this.#random.chance(0.8) ? "application/json" : "application/octet-stream";
    await this.#http(`REST ${method} ${path}`, method, `${filled}?${search}`, type, body);
  }

  async #http(
    what: string,
    method: string,
    path: string,
    type: string,
    body: Uint8Array | undefined,
  ): Promise<void> {
    try {
      const answer = await fetch(`${this.#server.httpUrl}${path}`, {
        method,
        headers: body === undefined ? { accept: "application/json" } : { "content-type": type },
        ...(body === undefined ? {} : { body: Buffer.from(body) }),
        signal: AbortSignal.timeout(CALL_MS),
      });
      this.#count(`http ${answer.status}`);
      if (answer.status === 500) this.found(what, await answer.text());
      else await answer.body?.cancel();
    } catch (error) {
      if (error instanceof Error && error.name === "TimeoutError") this.#count("http timeout");
      else this.found(what, `${error} ${error instanceof Error ? error.cause : ""}`);
    }
  }

  /** A worker's stream whose frames are odd ones; it ends at once, or when we end it. */
  async #workerStream(): Promise<void> {
    const random = this.#random;
    const messages: Uint8Array[] = [];
    if (random.chance(0.9)) {
      const worker = { workerId: "fuzz", instanceId: `fuzz-${random.int(0, 3)}` };
      const hello = { protocolVersion: 1, worker: { ...worker, workflows: [{ name: "plain" }] } };
      const frames = [{ body: { case: "hello" as const, value: hello } }];
      const message = create(WorkerServiceAttachRequestSchema, { frames });
      messages.push(toBinary(WorkerServiceAttachRequestSchema, message));
    }
    await this.#stream(WorkerService.method.attach, messages, WorkerFrameSchema);
  }

  /** The same of a client's stream. */
  #clientStream(): Promise<void> {
    return this.#stream(RunService.method.attach, [], ClientFrameSchema);
  }

  async #stream(
    method: DescMethod,
    first: readonly Uint8Array[],
    frameSchema: DescMessage,
  ): Promise<void> {
    const random = this.#random;
    const name = method.parent.name;
    const path = `/${method.parent.typeName}/${method.name}`;
    const call = this.#client.makeBidiStreamRequest(path, asIs, asIs, {
      deadline: Date.now() + CALL_MS,
    });
    const ended = new Promise<void>((resolve) => {
      call.on("error", (error) => {
        const { code, reason, message } = refusalOf(error);
        const isFine = reason === "" ? code === 1 || code === 4 : reason !== "INTERNAL";
        if (!isFine) this.found(`stream of ${name}`, `${code} ${reason} ${message}`);
        resolve();
      });
      call.on("end", resolve);
    });
    call.on("data", (bytes: Buffer) => {
      this.#count(`frames of ${name}`);
      if (bytes.includes("INTERNAL")) this.found(`frame of ${name}`, bytes.toString("latin1"));
    });
    for (const message of first) call.write(Buffer.from(message));
    for (let i = random.int(1, 60); i > 0; i -= 1) {
      const frame = this.#values.bytes(frameSchema);
      // One message of one frame, by hand, for the frame may be no message.
      const length = varint(frame.byteLength);
      const message = Buffer.concat([Buffer.from([0x0a]), length, frame]);
      call.write(random.chance(0.05) ? Buffer.from(this.#values.mutated(message)) : message);
    }
    await Promise.race([ended, new Promise((resolve) => setTimeout(resolve, 300))]);
    call.end();
    await ended;
  }
}

function asIs(bytes: Buffer): Buffer {
  return bytes;
}

function varint(value: number): Buffer {
  const bytes: number[] = [];
  for (let rest = value; ; rest >>>= 7) {
    if (rest < 0x80) return Buffer.from([...bytes, rest]);
    bytes.push((rest & 0x7f) | 0x80);
  }
}

interface Operation {
  readonly method: string;
  readonly path: string;
  readonly query: readonly string[];
}

interface Document {
  readonly paths: Readonly<
    Record<string, Readonly<Record<string, { parameters?: { name: string; in: string }[] }>>>
  >;
}

async function operationsOf(server: TestServer): Promise<Operation[]> {
  const answer = await fetch(`${server.httpUrl}/openapi.json`);
  const { paths } = (await answer.json()) as Document;
  const operations = Object.entries(paths).flatMap(([path, methods]) =>
    Object.entries(methods).map(([method, { parameters = [] }]) => ({
      method: method.toUpperCase(),
      path,
      query: parameters.filter((one) => one.in === "query").map(({ name }) => name),
    })),
  );
  return operations.filter(({ method, path }) => !MAKES_KEYS.has(`${method} ${path}`));
}

function snake(name: string): string {
  return name.replaceAll(/[A-Z]/g, (letter) => `_${letter.toLowerCase()}`);
}

/** A run from its start to its end, by a worker that does nothing odd. */
async function servesOthers(client: Client, id: string): Promise<void> {
  const worker = await openWorker("session", client, { workflows: [`healthy-${id}`] });
  try {
    await rpc(client, contract.RunService.method.startRun, {
      workflow: `healthy-${id}`,
      runId: `healthy-${id}`,
    });
    const { lease } = await worker.next(`healthy-${id}`);
    const output = { data: Buffer.from("1"), encoding: "json" };
    await worker.completeRun({ runId: `healthy-${id}`, fence: lease?.fence ?? 0, output });
  } finally {
    worker.close();
  }
}

async function memoryMib({ pid }: TestServer): Promise<number> {
  const status = await readFile(`/proc/${pid}/status`, "utf8").catch(() => "");
  return Number(/VmRSS:\s+(\d+)/.exec(status)?.[1] ?? 0) / 1024;
}

const WORKER = {
  workerId: "w",
  instanceId: "i",
  workflows: [
    { name: "plain" },
    { name: "limited", flow: { concurrency: { limit: 2, key: "{a}" } } },
    { name: "strict", inputSchema: '{"type":"object","properties":{"a":{"pattern":"^(a+)+$"}}}' },
  ],
};

/** New runs that a worker holds, whose names and fences lead somewhere. */
async function prepare(client: Client, round: number): Promise<Known> {
  const runs = Array.from({ length: RUNS }, (_, i) => `held-${round}-${i}`);
  const { pollWork } = WorkerService.method;
  await rpc(client, pollWork, { worker: WORKER, wait: {} });
  for (const runId of runs)
    await rpc(client, contract.RunService.method.startRun, { workflow: "plain", runId });
  const { items } = await rpc(client, pollWork, { worker: WORKER, maxItems: 2 * RUNS });
  const fences = items.map(({ lease }) => String(lease?.fence ?? 1));
  const steps = ["a", "b", "signal:go", "user:q", "callback:c", "sleep:s"];
  const waitIds: string[] = [];
  for (const runId of runs) {
    const { run } = await rpc(client, contract.RunService.method.getRun, { runId });
    const createdAt = run?.createdAt === undefined ? 0 : timestampMs(run.createdAt);
    for (const key of steps) waitIds.push(waitIdOf({ createdAt, runUid: run?.runUid ?? "" }, key));
  }
  return {
    run_id: runs,
    workflow: WORKER.workflows.map(({ name }) => name),
    name: ["plain", "go", "a"],
    step_key: steps,
    step_keys: steps,
    fence: [...fences, "1"],
    wait_id: waitIds,
    encoding: ["json", "json+pawl", "void", "bytes"],
  };
}

/** @param log told what is going on */
export async function fuzzWire(
  seed: number,
  seconds: number,
  log: (line: string) => void = () => undefined,
): Promise<FuzzReport> {
  await using server = await startServer();
  const client = connect(server.grpcAddress);
  try {
    const fuzz = new WireFuzz(seed, server, client, await operationsOf(server));
    const end = performance.now() + seconds * 1_000;
    let base = 0;
    for (let round = 0; round === 0 || performance.now() < end; round += 1) {
      await fuzz.round(await prepare(client, round));
      await servesOthers(client, String(round)).catch((error: unknown) =>
        fuzz.found("a healthy run", String(error)),
      );
      const memory = await memoryMib(server);
      if (round < 3) base = Math.max(base, memory);
      else if (memory - base > GROWTH_MIB)
        fuzz.found("memory", `it grew from ${Math.round(base)} to ${Math.round(memory)} MiB`);
      if (round % 10 === 0)
        log(`${fuzz.requests} requests, ${fuzz.findings.size} findings, ${Math.round(memory)} MiB`);
    }
    for (const line of server
      .log()
      .split("\n")
      .filter((one) => /"(rpc|http)\.failed"/.test(one)))
      fuzz.found("log", line.slice(0, 1_500));
    const findings = [...fuzz.findings.values()];
    return { seed, requests: fuzz.requests, findings, outcomes: fuzz.outcomes };
  } finally {
    client.close();
  }
}

const help = `pnpm fuzz:wire [--seed N] [--seconds N]

Sends malformed requests and frames over every transport to a real server, which must neither crash, grow nor
reply INTERNAL.

  --seed N     default: a random one
  --seconds N  for how long; default: 120`;

if (import.meta.main) {
  const values = readOptions(help, {
    seed: { type: "string" },
    seconds: { type: "string", default: "120" },
  });
  const seed =
    values.seed === undefined
      ? Math.floor(Math.random() * 2 ** 31)
      : readNumber("seed", values.seed);
  console.log(`seed ${seed}`);
  const { findings, outcomes } = await fuzzWire(
    seed,
    readNumber("seconds", values.seconds),
    console.log,
  );
  console.log([...outcomes].map(([name, count]) => `${name}: ${count}`).join(", "));
  for (const { what, why } of findings) console.log(`\n${what}\n  ${why}`);
  console.log(`\n${findings.length} findings; again: pnpm fuzz:wire --seed ${seed}`);
  process.exitCode = findings.length === 0 ? 0 : 1;
}
