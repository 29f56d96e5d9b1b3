import { expect, test } from "vitest";
import { change, commit, insertion, makeHeader, ORG, T0 } from "./make.ts";
import type { Opened } from "./suite.ts";

export function busTests(get: () => Opened): void {
  test("nudges are taken once, each by its replica", async () => {
    const { store } = get();
    await commit(
      store,
      insertion(makeHeader("r1"), { nudge: "one" }),
      insertion(makeHeader("r2"), { nudge: "two" }),
    );
    await commit(store, change("r1", 0, 1, { nudge: "one" }));
    expect(await store.takeNudges("one")).toEqual([{ org: ORG, runId: "r1" }]);
    expect(await store.takeNudges("one")).toEqual([]);
    expect(await store.takeNudges("two")).toEqual([{ org: ORG, runId: "r2" }]);
  });

  test("a closed store says so", async () => {
    const { store } = get();
    await store.ping();
    await store.close();
    await store.close();
    await expect(store.ping()).rejects.toThrow(/closed/);
    await expect(commit(store, insertion(makeHeader("r1")))).rejects.toThrow(/closed/);
    await expect(store.due(T0, 1)).rejects.toThrow(/closed/);
  });
}
