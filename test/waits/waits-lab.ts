/** What the tests of waits share: a run with questions, and the calls of SignalService. */
import type { MessageInitShape } from "@bufbuild/protobuf";
import type { Client } from "@grpc/grpc-js";
import {
  type QuestionSchema,
  QuestionType,
  SignalService,
  StepKind,
  type StepStartedResponse,
  type Wait,
} from "@pawl/proto";
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
): Promise<void> {
  const members = keys.map((key) => ({ node: { case: "stepKey" as const, value: key } }));
  const tree = { node: { case: "group" as const, value: { needed, members } } };
  await worker.suspendRun({ runId, fence, tree });
}

interface Resolve {
  resolutionId?: string;
  actor?: string;
  comment?: string;
}

export function answer(client: Client, waitId: string, value: unknown, more: Resolve = {}) {
  const resolution = { case: "answer" as const, value: json(value) };
  return rpc(client, SignalService.method.resolveWait, { waitId, resolution, ...more });
}

export function skip(client: Client, waitId: string, more: Resolve = {}) {
  const resolution = { case: "skip" as const, value: true };
  return rpc(client, SignalService.method.resolveWait, { waitId, resolution, ...more });
}

export function cancel(client: Client, waitId: string, actor = "") {
  return rpc(client, SignalService.method.cancelWait, { waitId, actor });
}

export async function waits(
  client: Client,
  request: MessageInitShape<typeof SignalService.method.listWaits.input>,
): Promise<Wait[]> {
  return (await rpc(client, SignalService.method.listWaits, request)).waits;
}

export function getWait(client: Client, waitId: string) {
  return rpc(client, SignalService.method.getWait, { waitId });
}

export function link(client: Client, waitId: string, assignee = "", expiresInMs?: number) {
  return rpc(client, SignalService.method.createAnswerLink, {
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
