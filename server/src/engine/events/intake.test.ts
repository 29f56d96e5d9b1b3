/**
 * Goal: deltas are on record in the order in which they were sent, whatever becomes of the commits that
 * they ride along with.
 * Method: an intake over a store that only notes what it is given.
 */
import { expect, test } from "vitest";
import { systemClock } from "../../lib/clock.ts";
import type { DeltaEvent } from "../../model/delta.ts";
import { runKey } from "../../model/ids.ts";
import type { NewChunk, PutDeltas } from "../../store/deltas.ts";
import { Intake } from "./intake.ts";

const key = runKey("default", "r");
const ranges = (chunks: readonly NewChunk[] = []) => chunks.map(({ first, last }) => [first, last]);

function make() {
  const put: NewChunk[] = [];
  const store = {
    putDeltas: async (puts: readonly PutDeltas[]) => {
      put.push(...puts.map(({ chunk }) => chunk));
      return puts.map(() => "kept" as const);
    },
    deleteDeltas: async () => undefined,
    runMarks: async () => [],
  };
  const onError = (error: unknown) => expect(error).toBeUndefined();
  const intake = new Intake({ store, clock: systemClock, onKept: () => undefined, onError });
  let next = 1;
  const say = (count: number) => {
    const event: DeltaEvent = {
      ...{ type: "output.delta", key: "s", attempt: 1, contentIndex: 0, sequence: 0 },
      ...{ sourceAt: 0, parentEventId: "", eventId: "", policy: "buffered" },
    };
    const published = intake.publish("default", "r", 7, Array(count).fill(event), next);
    next += count;
    return published;
  };
  return { intake, put, say };
}

const turns = () => new Promise((resolve) => setTimeout(resolve, 60));

test("what comes after chunks that ride along is not put before their fate is known", async () => {
  const { intake, put, say } = make();
  const first = say(2);
  const riding = intake.take(key, 7);
  expect(ranges(riding)).toEqual([[1, 2]]);
  const second = say(2);
  await turns();
  expect(ranges(put)).toEqual([]);
  intake.settle(key, riding ?? [], false);
  await Promise.all([first, second]);
  expect(ranges(put)).toEqual([
    [1, 2],
    [3, 4],
  ]);
  expect(intake.pendingBytes).toBe(0);
});

test("what rides along takes with it what is on its way, and that counts once", async () => {
  const { intake, put, say } = make();
  const first = say(2);
  const out = intake.take(key, 7) ?? [];
  const second = say(1);
  const riding = intake.take(key, 7) ?? [];
  expect(ranges(riding)).toEqual([
    [1, 2],
    [3, 3],
  ]);
  intake.settle(key, riding, true);
  intake.settle(key, out, true);
  await Promise.all([first, second]);
  await turns();
  expect(ranges(put)).toEqual([]);
  expect(intake.pendingBytes).toBe(0);
});
