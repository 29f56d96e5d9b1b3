/**
 * Goal: every item is run once and in order, batches grow with the load within their bounds, and
 * a full queue says so.
 * Method: batchers whose runs the test holds open.
 */
import { expect, test } from "vitest";
import { type BatcherOptions, createBatcher } from "./batcher.ts";
import { type Deferred, deferred } from "./deferred.ts";

interface Held {
  readonly items: number[];
  readonly gate: Deferred<void>;
}

function make(more: Partial<BatcherOptions<number>> = {}) {
  const runs: Held[] = [];
  const run = async (items: number[]): Promise<number[]> => {
    const gate = deferred<void>();
    runs.push({ items, gate });
    await gate.promise;
    return [];
  };
  const key = () => undefined;
  const options = { run, key, itemsMax: 100, weightMax: 1_000, weight: () => 1, queuedMax: 1_000 };
  return { runs, batcher: createBatcher<number>({ ...options, ...more }) };
}

const turn = (): Promise<void> => new Promise((resolve) => setImmediate(resolve));

test("what is pushed in one turn, and what comes during a run, are a batch each", async () => {
  const { runs, batcher } = make();
  for (const item of [1, 2, 3]) batcher.push(item);
  await turn();
  batcher.push(4);
  await turn();
  for (const item of [5, 6]) batcher.push(item);
  await turn();
  expect(runs.map(({ items }) => items)).toEqual([[1, 2, 3]]);
  runs[0]?.gate.resolve();
  await turn();
  expect(runs.map(({ items }) => items)).toEqual([
    [1, 2, 3],
    [4, 5, 6],
  ]);
});

test("batches are bounded in items and weight; a heavy item goes alone", async () => {
  const { runs, batcher } = make({ itemsMax: 3, weightMax: 10, weight: (item) => item });
  for (const item of [1, 1, 1, 1, 9, 2, 50, 1]) batcher.push(item);
  for (let i = 0; i < 10; i += 1) {
    await turn();
    runs.at(-1)?.gate.resolve();
  }
  expect(runs.map(({ items }) => items)).toEqual([[1, 1, 1], [1, 9], [2], [50], [1]]);
});

test("a full queue refuses, and takes again once there is room", async () => {
  const { runs, batcher } = make({ queuedMax: 2 });
  batcher.push(1);
  await turn();
  expect([2, 3, 4].map((item) => batcher.push(item))).toEqual([true, true, false]);
  expect(batcher.queued).toBe(2);
  runs[0]?.gate.resolve();
  await turn();
  expect(batcher.push(5)).toBe(true);
});

test("nothing is lost, doubled or put out of order, whatever the bursts", async () => {
  const seen: number[] = [];
  const run = async (items: number[]): Promise<number[]> => {
    await turn();
    seen.push(...items);
    return [];
  };
  const { batcher } = make({ run, itemsMax: 40 });
  let next = 0;
  for (let burst = 0; burst < 60; burst += 1) {
    for (let i = 0; i < (burst * 7) % 90; i += 1) batcher.push(next++);
    if (burst % 3 === 0) await turn();
    if (burst % 11 === 0) await batcher.drain();
  }
  await batcher.drain();
  expect(seen).toEqual(Array.from({ length: next }, (_, index) => index));
});

test("a second batch goes out before the first is answered once it is half as large, and no third", async () => {
  const { runs, batcher } = make();
  for (let item = 0; item < 20; item += 1) batcher.push(item);
  await turn();
  for (let item = 20; item < 29; item += 1) batcher.push(item);
  await turn();
  expect(runs).toHaveLength(1);
  batcher.push(29);
  await turn();
  for (let item = 30; item < 90; item += 1) batcher.push(item);
  await turn();
  expect(runs.map(({ items }) => items.length)).toEqual([20, 10]);
  // The second one ends first: the first is under way still, and one more may go.
  runs[1]?.gate.resolve();
  await turn();
  // Half of the 80 that are there.
  expect(runs.map(({ items }) => items.length)).toEqual([20, 10, 40]);
});

test("a burst is carried out in halves while runs are quick, and whole while they are slow", async () => {
  const sizesOf = async (runMs: number): Promise<number[]> => {
    const sizes: number[] = [];
    const run = async (items: number[]): Promise<number[]> => {
      sizes.push(items.length);
      if (runMs > 0) await new Promise((resolve) => setTimeout(resolve, runMs));
      return [];
    };
    const { batcher } = make({ run });
    // By the first it is known how long a run takes.
    for (const count of [1, 80, 5]) {
      for (let item = 0; item < count; item += 1) batcher.push(item);
      await batcher.drain();
    }
    return sizes;
  };
  expect(await sizesOf(0)).toEqual([1, 40, 40, 5]);
  expect(await sizesOf(20)).toEqual([1, 80, 5]);
});

test("items of one key are in one batch at a time and in order; those without one are free", async () => {
  const { runs, batcher } = make({ key: (item) => (item < 100 ? String(item % 10) : undefined) });
  for (let item = 0; item < 10; item += 1) batcher.push(item);
  batcher.push(100);
  await turn();
  for (let item = 10; item < 20; item += 1) batcher.push(item);
  await turn();
  expect(runs).toHaveLength(1);
  for (const item of [101, 102]) batcher.push(item);
  await turn();
  expect(runs.map(({ items }) => items).slice(1)).toEqual([[101, 102]]);
  runs[0]?.gate.resolve();
  await turn();
  expect(runs[2]?.items).toEqual([10, 11, 12, 13, 14, 15, 16, 17, 18, 19]);
});

test("whatever the keys, bursts and failures: no key in two runs at once, each in its order", async () => {
  const running = new Set<number>();
  const seen = new Map<number, number[]>();
  let most = 0;
  let under = 0;
  let runs = 0;
  const run = async (items: number[]): Promise<number[]> => {
    under += 1;
    runs += 1;
    most = Math.max(most, under);
    const keys = new Set(items.map((item) => item % 7));
    for (const key of keys) {
      expect(running.has(key)).toBe(false);
      running.add(key);
    }
    for (let i = 0; i < items.length % 4; i += 1) await turn();
    // Every third run fails for one of its keys.
    const failed = runs % 3 === 0 ? (items[0] ?? 0) % 7 : undefined;
    for (const item of items)
      if (item % 7 !== failed) seen.set(item % 7, [...(seen.get(item % 7) ?? []), item]);
    for (const key of keys) running.delete(key);
    under -= 1;
    return items.filter((item) => item % 7 === failed);
  };
  const { batcher } = make({ run, key: (item) => String(item % 7), itemsMax: 30 });
  let next = 0;
  for (let burst = 0; burst < 200; burst += 1) {
    // Bursts of one key, so that others are free.
    for (let i = 0; i < (burst * 5) % 40; i += 1) batcher.push(next++ * 7 + (burst % 5));
    await turn();
  }
  await batcher.drain();
  expect(most).toBe(2);
  expect([...seen.values()].flat()).toHaveLength(next);
  for (const items of seen.values()) expect(items).toEqual([...items].sort((a, b) => a - b));
});

test("a drain resolves when nothing is queued or running, at once where that is so", async () => {
  const { runs, batcher } = make();
  await batcher.drain();
  batcher.push(1);
  let drained = false;
  const drain = batcher.drain().then(() => {
    drained = true;
  });
  await turn();
  expect(drained).toBe(false);
  runs[0]?.gate.resolve();
  await drain;
});
