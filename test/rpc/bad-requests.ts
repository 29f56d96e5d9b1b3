/** Requests that must be refused, each with its reason. */
import { randomBytes } from "node:crypto";
import {
  create,
  type DescMessage,
  type DescMethodUnary,
  type MessageInitShape,
  toJson,
} from "@bufbuild/protobuf";
import type { Client } from "@grpc/grpc-js";
import { RunService, SignalService, StepService, WaitService, WorkerService } from "@pawl/proto";
import { expect } from "vitest";
import { callGrpc } from "./clients.ts";

/** The lease of a run. */
export interface Held {
  runId: string;
  fence: number;
}

export const json = (value: unknown) => ({ data: Buffer.from(JSON.stringify(value)) });

/** A bad request, and how it is refused. */
export interface Case {
  name: string;
  send: (held: Held) => Request;
  code: number;
  reason: string;
  metadata?: Record<string, unknown>;
}

/** A request in the forms of the transports. */
export interface Request {
  rpc: string;
  json: () => unknown;
  grpc: (client: Client) => Promise<unknown>;
}

function request<I extends DescMessage, O extends DescMessage>(
  method: DescMethodUnary<I, O>,
  init: MessageInitShape<I>,
): Request {
  return {
    rpc: `${method.parent.name}/${method.name}`,
    json: () => toJson(method.input, create(method.input, init)),
    grpc: (client) => callGrpc(client, method, init),
  };
}

const run = RunService.method;
const step = StepService.method;
export const INVALID = { code: 3, reason: "INVALID_ARGUMENT" };
/** Sent to a server on which a worker holds a run, `held`, with the input 1. */
export const badRequests: Case[] = [
  {
    name: "an unknown workflow, with the known ones",
    send: () => request(run.startRun, { workflow: "unknown", input: json(1) }),
    code: 5,
    reason: "NOT_FOUND",
    metadata: { known: expect.stringMatching(/plain.*strict/s) },
  },
  {
    name: "no workflow",
    send: () => request(run.startRun, {}),
    ...INVALID,
    metadata: { field: "workflow" },
  },
  {
    name: "an input that fails its schema",
    send: () =>
      request(run.startRun, { workflow: "strict", runId: "bad-schema", input: json({ n: 0 }) }),
    code: 3,
    reason: "INVALID_INPUT",
  },
  {
    name: "an input that is not JSON",
    send: () => request(run.startRun, { workflow: "plain", input: { data: Buffer.from("{") } }),
    ...INVALID,
    metadata: { field: "input.data" },
  },
  {
    name: "a run id of other characters",
    send: () => request(run.startRun, { workflow: "plain", runId: "a b" }),
    ...INVALID,
    metadata: { field: "run_id" },
  },
  {
    name: "a run id that is too long",
    send: () => request(run.startRun, { workflow: "plain", runId: "x".repeat(201) }),
    ...INVALID,
    metadata: { field: "run_id" },
  },
  {
    name: "a run id and an idempotency key",
    send: () => request(run.startRun, { workflow: "plain", runId: "a", idempotencyKey: "b" }),
    ...INVALID,
    metadata: { field: "idempotency_key" },
  },
  {
    name: "a run id that is taken by other input",
    send: () => request(run.startRun, { workflow: "plain", runId: "held", input: json(2) }),
    code: 6,
    reason: "RUN_EXISTS",
  },
  {
    name: "a claim on a run that is leased, with holder and expiry",
    send: () =>
      request(run.startRun, { workflow: "plain", runId: "held", input: json(1), claim: true }),
    code: 9,
    reason: "RUN_LEASED",
    metadata: { holder: "w", expires_at: expect.stringMatching(/^\d{4}-.*Z$/) },
  },
  {
    name: "a priority that there is not",
    send: () => request(run.startRun, { workflow: "plain", priority: 10 }),
    ...INVALID,
    metadata: { field: "priority" },
  },
  {
    name: "too many tags",
    send: () => {
      const tags = Object.fromEntries(Array.from({ length: 65 }, (_, i) => [`t${i}`, "x"]));
      return request(run.startRun, { workflow: "plain", tags });
    },
    ...INVALID,
    metadata: { field: "tags" },
  },
  {
    name: "a negative delay",
    send: () => request(run.startRun, { workflow: "plain", delay: { seconds: -1n } }),
    ...INVALID,
    metadata: { field: "delay" },
  },
  {
    name: "a reference to a payload of more than 32 MiB",
    send: () => {
      const ref = { sha256: "a".repeat(64), size: 33 * 1024 * 1024 };
      return request(run.startRun, { workflow: "plain", input: { ref } });
    },
    code: 3,
    reason: "PAYLOAD_TOO_LARGE",
    metadata: { size: "34603008", limit: "33554432" },
  },
  {
    name: "a message that is too large",
    send: () => {
      const data = randomBytes(4 * 1024 * 1024 + 1);
      return request(run.startRun, { workflow: "plain", input: { data, encoding: "bytes" } });
    },
    code: 3,
    reason: "PAYLOAD_TOO_LARGE",
    metadata: { field: "message", size: expect.stringMatching(/^\d+$/), limit: "4194304" },
  },
  {
    name: "an unknown run",
    send: () => request(run.getRun, { runId: "nobody" }),
    code: 5,
    reason: "NOT_FOUND",
    metadata: { id: "nobody" },
  },
  {
    name: "retrying a run that runs",
    send: () => request(run.retryRun, { runId: "held" }),
    code: 9,
    reason: "ILLEGAL_TRANSITION",
    metadata: { from: "RUNNING" },
  },
  {
    name: "deleting a run that runs",
    send: () => request(run.deleteRun, { runId: "held" }),
    code: 9,
    reason: "ILLEGAL_TRANSITION",
    metadata: { run_id: "held", from: "RUNNING" },
  },
  {
    name: "a missing fence",
    send: () =>
      request(step.stepCompleted, { runId: "held", stepKey: "a", attempt: 1, output: json(1) }),
    ...INVALID,
    metadata: { field: "fence" },
  },
  {
    name: "a stale fence",
    send: (held) => {
      const stale = { runId: "held", fence: held.fence + 7, stepKey: "a", attempt: 1 };
      return request(step.stepCompleted, { ...stale, output: json(1) });
    },
    code: 10,
    reason: "LEASE_LOST",
    metadata: { run_id: "held" },
  },
  {
    name: "a step key that is too long",
    send: (held) => request(step.stepStarted, { ...held, stepKey: "k".repeat(513) }),
    ...INVALID,
    metadata: { field: "step_key" },
  },
  {
    name: "a step key whose bytes are too many, not its characters",
    send: (held) => request(step.stepStarted, { ...held, stepKey: "ü".repeat(257) }),
    ...INVALID,
    metadata: { field: "step_key" },
  },
  {
    name: "a completion without output",
    send: (held) => request(step.stepCompleted, { ...held, stepKey: "a", attempt: 1 }),
    ...INVALID,
    metadata: { field: "output" },
  },
  {
    name: "a sleep without an end",
    send: (held) => request(step.stepStarted, { ...held, stepKey: "a", kind: 2, wait: {} }),
    ...INVALID,
    metadata: { field: "wait.duration" },
  },
  {
    name: "a jitter of more than 1",
    send: (held) =>
      request(step.stepStarted, { ...held, stepKey: "a", retryPolicy: { jitter: 1.5 } }),
    ...INVALID,
    metadata: { field: "retry_policy.jitter" },
  },
  {
    name: "a wait tree that asks for more than there is",
    send: (held) => {
      const members = [{ node: { case: "stepKey" as const, value: "a" } }];
      const tree = { node: { case: "group" as const, value: { members, needed: 2 } } };
      return request(WorkerService.method.suspendRun, { ...held, tree });
    },
    ...INVALID,
    metadata: { field: "tree.group.needed" },
  },
  {
    name: "a poll by nobody",
    send: () => request(WorkerService.method.pollWork, {}),
    ...INVALID,
    metadata: { field: "worker" },
  },
  {
    name: "a page that is too large",
    send: () => request(run.listRuns, { pageSize: 501 }),
    ...INVALID,
    metadata: { field: "page_size" },
  },
  {
    name: "a signal to nobody",
    send: () => request(SignalService.method.sendSignal, { runId: "nobody", name: "go" }),
    code: 5,
    reason: "NOT_FOUND",
  },
  {
    name: "a NUL character in an id",
    send: () => request(SignalService.method.sendSignal, { runId: "held", name: "a\0b" }),
    ...INVALID,
    metadata: { field: "name" },
  },
  ...[".", ".."].map((runId) => ({
    name: `the run id ${runId}, which no path can hold`,
    send: () => request(run.startRun, { workflow: "plain", runId }),
    ...INVALID,
    metadata: { field: "run_id" },
  })),
  ...["a\0b", "x".repeat(2_000)].map((t) => ({
    name: `an input that makes no key of a limit: ${JSON.stringify(t.slice(0, 5))}`,
    send: () => request(run.startRun, { workflow: "limited", input: json({ t }) }),
    ...INVALID,
    metadata: { field: "input" },
  })),
  ...["{a", "a}", "{}", "{a}{"].map((key) => ({
    name: `a limit's key that is not a template: ${key}`,
    send: () => {
      const workflows = [{ name: "bad", flow: { concurrency: { limit: 1, key } } }];
      return request(WorkerService.method.pollWork, {
        worker: { workerId: "w2", instanceId: "i", workflows },
      });
    },
    ...INVALID,
  })),
  {
    name: "an id of no wait",
    send: () => request(WaitService.method.getWait, { waitId: "held" }),
    ...INVALID,
    metadata: { field: "wait_id" },
  },
  {
    name: "a wait that is not there",
    send: () => request(WaitService.method.cancelWait, { waitId: `w${"0".repeat(21)}` }),
    code: 5,
    reason: "NOT_FOUND",
  },
  {
    name: "neither an answer nor a skip",
    send: () => request(WaitService.method.answerWait, { runId: "held", stepKey: "user:q" }),
    ...INVALID,
    metadata: { field: "answer" },
  },
  {
    name: "waits of a kind that does not wait",
    send: () => request(WaitService.method.listWaits, { kinds: [6] }),
    ...INVALID,
    metadata: { field: "kinds" },
  },
  {
    name: "a link for longer than a year",
    send: () =>
      request(WaitService.method.createWaitLink, {
        waitId: "held#user:q",
        expiresIn: { seconds: 366n * 86_400n },
      }),
    ...INVALID,
    metadata: { field: "expires_in" },
  },
  {
    name: "a question with a sleep",
    send: (held) => {
      const wait = { duration: { seconds: 1n }, question: { prompt: "Q?", type: 1 } };
      return request(step.stepStarted, { ...held, stepKey: "a", kind: 2, wait });
    },
    ...INVALID,
    metadata: { field: "wait.question" },
  },
];
