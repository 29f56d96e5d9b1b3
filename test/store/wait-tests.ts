import { describe, expect, test } from "vitest";
import type { WaitFilter, WaitPlace, WaitRow } from "../../server/src/store/waits.ts";
import { CALLER, change, commit, insertion, makeHeader, makePatch, T0 } from "./make.ts";
import type { Opened } from "./suite.ts";

function row(key: string, since: number, with_: Partial<WaitRow> = {}): WaitRow {
  return {
    key,
    kind: "sleep",
    workflow: "digest",
    since: T0 + since,
    until: T0 + 1_000,
    data: "{}",
    assignees: undefined,
    ...with_,
  };
}

const question = (key: string, since: number, assignees: string[]) =>
  row(key, since, { kind: "user", assignees });
const put = (...waits: WaitRow[]) => ({ waits: { put: waits, gone: [] } });
const gone = (key: string, isQuestion = false) => ({
  waits: { put: [], gone: [{ key, isQuestion }] },
});

export function waitTests(get: () => Opened): void {
  const list = async (filter: Partial<WaitFilter> = {}): Promise<string[]> => {
    const kinds = filter.kinds ?? ["sleep", "signal", "user"];
    const { waits } = await get().store.listWaits(CALLER, { limit: 100, ...filter, kinds });
    return waits.map(({ runId, key }) => `${runId} ${key}`);
  };

  describe("open waits", () => {
    test("are listed oldest first, with what they were put with", async () => {
      const { store } = get();
      const signal = row("b", 1, { kind: "signal", until: 0, data: '{"signalName":"go"}' });
      await commit(
        store,
        insertion(makeHeader("r1"), put(row("a", 3), signal)),
        insertion(makeHeader("r2"), put(row("a", 2), row("c", 3))),
      );
      expect(await list()).toEqual(["r1 b", "r2 a", "r1 a", "r2 c"]);
      const { waits, more } = await store.listWaits(CALLER, { kinds: ["signal"], limit: 1 });
      const { assignees: _, ...shown } = signal;
      const run = { runId: "r1", runUid: "uid of r1", createdAt: T0 };
      expect([waits, more]).toEqual([[{ ...run, ...shown }], false]);
    });

    test("by kind, workflow, run and assignee, in any combination", async () => {
      const other = { workflow: "other" };
      await commit(
        get().store,
        insertion(makeHeader("r1"), put(row("a", 1), question("q", 2, ["al", "bo"]))),
        insertion(makeHeader("r2"), put(row("a", 3, other), question("q", 4, [""]))),
        insertion(makeHeader("r3"), put({ ...question("q", 5, ["bo"]), ...other })),
      );
      expect(await list({ kinds: ["user"] })).toEqual(["r1 q", "r2 q", "r3 q"]);
      expect(await list({ workflow: "other" })).toEqual(["r2 a", "r3 q"]);
      expect(await list({ workflow: "other", kinds: ["sleep"] })).toEqual(["r2 a"]);
      expect(await list({ runId: "r1" })).toEqual(["r1 a", "r1 q"]);
      expect(await list({ runId: "r1", kinds: ["signal"] })).toEqual([]);
      expect(await list({ assignees: ["bo"] })).toEqual(["r1 q", "r3 q"]);
      expect(await list({ assignees: ["al", ""] })).toEqual(["r1 q", "r2 q"]);
      expect(await list({ assignees: ["bo"], workflow: "other" })).toEqual(["r3 q"]);
      expect(await list({ assignees: ["bo"], runId: "r1" })).toEqual(["r1 q"]);
      expect(await list({ assignees: ["cy"] })).toEqual([]);
    });

    test("in pages, each after the last of the one before", async () => {
      const rows = ["a", "b", "c", "d", "e"].map((key, i) =>
        row(key, i >> 1, { kind: i % 2 === 0 ? "sleep" : "signal" }),
      );
      await commit(get().store, insertion(makeHeader("r1"), put(...rows)));
      const seen: string[] = [];
      let after: WaitPlace | undefined;
      for (let more = true; more; ) {
        const filter = { kinds: ["sleep", "signal"], limit: 2, ...(after && { after }) };
        const page = await get().store.listWaits(CALLER, filter);
        seen.push(...page.waits.map(({ key }) => key));
        after = page.waits.at(-1);
        more = page.more;
      }
      expect(seen).toEqual(["a", "b", "c", "d", "e"]);
    });

    test("change and go with the write that says so, and not with one that is refused", async () => {
      const { store } = get();
      await commit(store, insertion(makeHeader("r1"), put(question("q", 1, ["al"]), row("a", 2))));
      const answered = { ...question("q", 1, ["al"]), data: '{"answers":[1]}' };
      await commit(store, change("r1", 0, 1, put(answered)));
      const { waits } = await store.listWaits(CALLER, { kinds: ["user"], limit: 9 });
      expect(waits.map(({ data }) => data)).toEqual([answered.data]);
      expect((await commit(store, change("r1", 7, 2, gone("q", true)))).confirmed).toEqual([false]);
      expect(await list()).toEqual(["r1 q", "r1 a"]);
      await commit(store, change("r1", 0, 2, gone("q", true)));
      expect([await list(), await list({ assignees: ["al"] })]).toEqual([["r1 a"], []]);
      await commit(store, change("r1", 0, 3, { patch: makePatch({ fence: 0 }), ...gone("a") }));
      expect(await list()).toEqual([]);
    });

    test("go with their run", async () => {
      const { store } = get();
      await commit(store, insertion(makeHeader("r1"), put(question("q", 1, ["al"]))));
      await commit(store, change("r1", 0, 1, { entries: [], seq: 1, deleteRun: true }));
      expect([await list(), await list({ assignees: ["al"] })]).toEqual([[], []]);
    });
  });

  test("a secret is what it was first, for each organization and name", async () => {
    const { store, reopen } = get();
    const made = await Promise.all(["a", "b", "c"].map((one) => store.secret(CALLER, "x", one)));
    expect(new Set(made).size).toBe(1);
    const again = await (await reopen()).secret(CALLER, "x", "d");
    expect(again).toBe(made[0]);
    expect(await get().store.secret(CALLER, "y")).toBeUndefined();
    expect(await get().store.secret(CALLER, "y", "e")).toBe("e");
    expect(await get().store.secret(CALLER, "y")).toBe("e");
    expect(await get().store.secret({ org: "other" }, "x", "f")).toBe("f");
  });

  test("what is removed up to a time stays where it was put anew for later", async () => {
    const { store } = get();
    const due = (at: number) => ({ kind: "wait", key: "k", at: T0 + at, data: "" }) as const;
    await commit(store, insertion(makeHeader("r1"), { duePut: [due(5)] }));
    const remove = (upTo: number) => ({
      dueRemove: [{ kind: "wait", key: "k", upTo: T0 + upTo } as const],
    });
    await commit(store, change("r1", 0, 1, remove(4)));
    expect((await store.due(T0 + 9, 9)).items).toHaveLength(1);
    await commit(store, change("r1", 0, 2, remove(5)));
    expect((await store.due(T0 + 9, 9)).items).toHaveLength(0);
  });
}
