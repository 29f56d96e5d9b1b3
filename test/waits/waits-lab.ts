/** What the tests of waits share: a run with questions, and the calls of WaitService. */
import type { MessageInitShape } from "@bufbuild/protobuf";
import { timestampMs } from "@bufbuild/protobuf/wkt";
import type { Client } from "@grpc/grpc-js";
import {
  type QuestionSchema,
  QuestionType,
  RunService,
  StepKind,
  type StepStartedResponse,
  type SuspendRunResponse,
  type Wait,
  WaitService,
} from "@pawl/proto";
import { waitIdOf } from "../../server/src/model/wait-id.ts";
import { patienceMs } from "../harness/patience.ts";
import type { RawWorker } from "../harness/protocol.ts";
import { rpc } from "../harness/protocol.ts";
import { json, type Lab, sleep, type TransportName } from "../semantics/lab.ts";

export const { TEXT, APPROVAL, CHOICE, MULTICHOICE, FORM } = QuestionType;
export const { USER, CALLBACK } = StepKind;
export type QuestionInit = MessageInitShape<typeof QuestionSchema>;

export interface HeldRun {
  readonly worker: RawWorker;
  readonly runId: string;
  readonly fence: number;
}

/** A run that a worker holds, with these questions asked. */
export async function asked(
  lab: Lab,
  transport: TransportName,
  questions: Readonly<Record<string, QuestionInit>>,
): Promise<HeldRun> {
  const held = await lab.held(transport);
  for (const [name, question] of Object.entries(questions)) await ask(held, name, question);
  return held;
}

export function ask(
  { worker, runId, fence }: HeldRun,
  name: string,
  question: QuestionInit,
  timeout?: { seconds: bigint; nanos: number },
): Promise<StepStartedResponse> {
  return worker.stepStarted({
    runId,
    fence,
    stepKey: `user:${name}`,
    name,
    kind: USER,
    wait: { question, ...(timeout && { duration: timeout }) },
  });
}

/** Gives the run back until any of these waits is resolved. */
export async function suspendOn(
  { worker, runId, fence }: HeldRun,
  keys: readonly string[],
  needed = 1,
): Promise<SuspendRunResponse> {
  const members = keys.map((key) => ({ node: { case: "stepKey" as const, value: key } }));
  const tree = { node: { case: "group" as const, value: { needed, members } } };
  return worker.suspendRun({ runId, fence, tree });
}

interface Answer {
  resolutionId?: string;
  actor?: string;
  comment?: string;
}

/** The id of a wait that a test names by `RUN#KEY`; an id stays what it is. */
export async function idOf(client: Client, wait: string): Promise<string> {
  const place = wait.indexOf("#");
  if (place < 0) return wait;
  const { run } = await rpc(client, RunService.method.getRun, { runId: wait.slice(0, place) });
  if (run?.createdAt === undefined) throw new Error("The server answered without the run.");
  const { createdAt, runUid } = run;
  return waitIdOf({ createdAt: timestampMs(createdAt), runUid }, wait.slice(place + 1));
}

export async function answer(client: Client, wait: string, value: unknown, more: Answer = {}) {
  const response = { case: "answer" as const, value: json(value) };
  const waitId = await idOf(client, wait);
  return rpc(client, WaitService.method.answerWait, { waitId, response, ...more });
}

export async function skip(client: Client, wait: string, more: Answer = {}) {
  const response = { case: "skip" as const, value: true };
  const waitId = await idOf(client, wait);
  return rpc(client, WaitService.method.answerWait, { waitId, response, ...more });
}

export async function cancel(client: Client, wait: string, actor = "") {
  const waitId = await idOf(client, wait);
  return rpc(client, WaitService.method.cancelWait, { waitId, actor });
}

export async function waits(
  client: Client,
  request: MessageInitShape<typeof WaitService.method.listWaits.input>,
): Promise<Wait[]> {
  return (await rpc(client, WaitService.method.listWaits, request)).waits;
}

export async function getWait(client: Client, wait: string) {
  const waitId = await idOf(client, wait);
  return rpc(client, WaitService.method.getWait, { waitId });
}

export async function link(client: Client, wait: string, assignee = "", expiresInMs?: number) {
  const waitId = await idOf(client, wait);
  return rpc(client, WaitService.method.createWaitLink, {
    waitId,
    assignee,
    ...(expiresInMs !== undefined && {
      expiresIn: {
        seconds: BigInt(Math.floor(expiresInMs / 1_000)),
        nanos: (expiresInMs % 1_000) * 1e6,
      },
    }),
  });
}

/** Asks again until it is true. */
export async function eventually(isTrue: () => Promise<boolean>, what: string): Promise<void> {
  const deadline = performance.now() + patienceMs;
  while (!(await isTrue())) {
    if (performance.now() > deadline) throw new Error(`It never came to this: ${what}.`);
    await sleep(20);
  }
}
