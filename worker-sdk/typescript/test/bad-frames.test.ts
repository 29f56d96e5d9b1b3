/**
 * Goal: what cannot be encoded, or never gets through, fails its caller and nobody else.
 * Method: the outbox and the calls of a session, over a stream that is played.
 */
import { toBinary } from "@bufbuild/protobuf";
import { type WorkerServiceAttachRequest, WorkerServiceAttachRequestSchema } from "@pawl/proto";
import { expect, test } from "vitest";
import { PawlError } from "../src/index.ts";
import { limits } from "../src/limits.ts";
import { Calls } from "../src/worker/calls.ts";
import { type FrameInit, Outbox } from "../src/worker/outbox.ts";

const bad = { seconds: 0n, nanos: 1.5 };

function played() {
  const sent: number[][] = [];
  const refused: number[] = [];
  const outbox = new Outbox(
    (message: WorkerServiceAttachRequest, onSent) => {
      toBinary(WorkerServiceAttachRequestSchema, message);
      sent.push(message.frames.map(({ id }) => id));
      onSent?.();
    },
    ({ id = 0 }: FrameInit) => void refused.push(id),
  );
  outbox.restart({ id: 0, body: { case: "hello", value: {} } });
  return { outbox, sent, refused };
}

function step(id: number, broken = false): FrameInit {
  const wait = broken ? { until: bad } : {};
  return { id, body: { case: "stepStarted", value: { stepKey: `s${id}`, wait } } };
}

test("a frame that cannot be encoded keeps none of its neighbors from leaving, in their order", () => {
  const { outbox, sent, refused } = played();
  let flushed = 0;
  for (const id of [1, 2, 3]) outbox.push(step(id, id === 2), 100);
  outbox.whenSent(() => {
    flushed += 1;
  });
  outbox.flush();
  expect([sent.flat(), refused, flushed]).toEqual([[0, 1, 3], [2], 1]);
});

test("a large request that a proxy ends the stream for fails; others continue", async () => {
  const calls = new Calls();
  const send = () => true;
  const ask = (bytes: number) =>
    calls.open("r", { case: "stepCompleted", value: {} }, bytes, "stepCompleted", send);
  const small = ask(500);
  const large = ask(2_000_000);
  const next = ask(300_000);
  const failed = large.catch((error: unknown) => error);
  const ended = new PawlError({ reason: "INTERNAL", message: "RST_STREAM", code: 13 });
  for (let i = 0; i < limits.suspectFrameTries; i += 1) {
    expect(calls.size).toBe(3);
    calls.streamRefused(ended);
    calls.resend(send);
  }
  expect(await failed).toMatchObject({ reason: "PAYLOAD_TOO_LARGE" });
  expect(calls.size).toBe(2);
  for (const id of [1, 3]) {
    calls.settle({
      ...{ $typeName: "pawl.v1.Reply", id },
      result: {
        case: "stepCompleted",
        value: { $typeName: "pawl.v1.StepCompletedResponse", directive: 1, seq: id },
      },
    });
  }
  expect((await Promise.all([small, next])).map(({ seq }) => seq)).toEqual([1, 3]);
});
