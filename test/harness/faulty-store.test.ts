import { expect, test } from "vitest";
import { openStore } from "../../server/src/store/open.ts";
import { StoreError } from "../../server/src/store/store-error.ts";
import { change, commit, getRun, insertion, makeHeader } from "../store/make.ts";
import { faultyStore } from "./faulty-store.ts";

test.each([
  ["before", 1],
  ["after", 2],
] as const)("the n-th commit fails %s it is carried out, the others work", async (when, seq) => {
  const store = faultyStore(await openStore(":memory:"), { failCall: 2, when });
  expect((await commit(store, insertion(makeHeader("r1")))).confirmed).toEqual([true]);
  expect(store.failed).toBeUndefined();
  await expect(commit(store, change("r1", 0, 1))).rejects.toThrow(StoreError);
  expect(store.failed).toBe("commit");
  expect((await getRun(store, "r1"))?.seq).toBe(seq);
  expect((await commit(store, change("r1", 0, seq))).confirmed).toEqual([true]);
  expect(store.calls).toBe(3);
  await store.close();
});

test("calls of any method, or of some, can be counted", async () => {
  const inner = await openStore(":memory:");
  const all = faultyStore(inner, { failCall: 2, when: "before", methods: "all" });
  await all.ping();
  await expect(all.due(1, 1)).rejects.toThrow(/call 2, due/);
  await all.due(1, 1);
  const some = faultyStore(inner, { failCall: 1, when: "after", methods: ["ping"] });
  await some.due(1, 1);
  await expect(some.ping()).rejects.toThrow(/reply to call 1, ping, is lost/);
  expect(some.calls).toBe(1);
  await inner.close();
});
