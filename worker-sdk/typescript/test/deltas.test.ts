/**
 * Goal: what a run reports next waits for what it has said, and for nothing that is said later.
 * Method: live output, with a place to send it to that answers when it is told to.
 */
import { expect, test } from "vitest";
import { type DeltaBatch, Deltas } from "../src/worker/deltas.ts";

test("a step that continues streaming holds nobody up", async () => {
  const sent: { readonly batch: DeltaBatch; readonly answer: () => void }[] = [];
  const deltas = new Deltas(
    (batch) => new Promise<void>((answer) => sent.push({ batch, answer })),
    () => expect.unreachable("nothing is dropped"),
  );
  const say = () => deltas.add("run", 1, { type: "note" }, 10);
  say();
  say();
  let waits = true;
  const settled = deltas.settled("run").then(() => {
    waits = false;
  });
  say();
  deltas.flush();
  expect(sent.map(({ batch }) => [batch.first, batch.events.length])).toEqual([
    [1, 2],
    [3, 1],
  ]);
  await new Promise(setImmediate);
  expect(waits).toBe(true);
  sent[0]?.answer();
  await settled;
  deltas.close();
});
