/**
 * Goal: what cannot be encoded, or never gets through, fails its caller and nobody else.
 * Method: the outbox and the calls of a session, over a stream that is played.
 */
import { toBinary } from "@bufbuild/protobuf";
import { type WorkerServiceAttachRequest, WorkerServiceAttachRequestSchema } from "@pawl/proto";
import { expect, test } from "vitest";
import { RequestError } from "../src/index.ts";
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

const ended = new RequestError({ reason: "INTERNAL", message: "RST_STREAM", code: 13 });

/** The calls of a session whose streams let through so much; `cut` counts those that were refused. */
function behindProxy(streamBytesMax: number) {
  let open: number[] = [];
  let bytesOfStream = 0;
  const it = { cut: 0, calls: new Calls(sendOne) };
  function sendOne({ id = 0 }: FrameInit, bytes: number): boolean {
    bytesOfStream += bytes;
    open.push(id);
    return true;
  }
  const ask = (bytes: number) =>
    it.calls.open("r", { case: "stepCompleted", value: {} }, bytes, "stepCompleted");
  /** A stream whose bytes are too many is refused before any of its answers are read. */
  function turn(): void {
    const ids = open;
    open = [];
    if (bytesOfStream > streamBytesMax) {
      it.cut += 1;
      bytesOfStream = 0;
      it.calls.streamRefused(ended);
      it.calls.resend();
      return;
    }
    for (const id of ids) {
      it.calls.settle({
        ...{ $typeName: "pawl.v1.Reply", id },
        result: {
          case: "stepCompleted",
          value: { $typeName: "pawl.v1.StepCompletedResponse", directive: 1, seq: id },
        },
      });
    }
  }
  return Object.assign(it, { ask, turn });
}

test("a large request that a proxy ends the stream for fails; others continue", async () => {
  const it = behindProxy(1_000_000);
  const small = it.ask(500);
  const large = it.ask(2_000_000).catch((error: unknown) => error);
  const next = it.ask(300_000);
  while (it.calls.size > 0) it.turn();
  expect(await large).toMatchObject({ reason: "PAYLOAD_TOO_LARGE" });
  expect((await Promise.all([small, next])).map(({ seq }) => seq)).toEqual([1, 3]);
  expect(it.cut).toBe(1 + limits.suspectFrameTries);
});

test("requests that are too large for one stream together all get through", async () => {
  const it = behindProxy(1_000_000);
  const all = Array.from({ length: 30 }, (_, index) => it.ask(index % 3 === 0 ? 500 : 300_000));
  while (it.calls.size > 0) it.turn();
  expect((await Promise.all(all)).map(({ seq }) => seq)).toEqual(all.map((_, index) => index + 1));
});
