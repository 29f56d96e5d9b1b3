import { describe, expect, test } from "vitest";
import { CALLER, change, commit, insertion, makeHeader, makePatch, ORG, T0 } from "./make.ts";
import type { Opened } from "./suite.ts";

export function leaseTests(get: () => Opened): void {
  describe("leases", () => {
    const ids = ["c", "a", "d", "b"];

    async function lend(): Promise<Opened> {
      const opened = get();
      const writes = ids.map((id, i) => {
        const lease = { connectionId: `s${i % 2}`, workerId: `w${i % 2}`, until: T0 + i };
        return insertion(makeHeader(id, { fence: i + 1 }), { lease });
      });
      await commit(opened.store, ...writes);
      return opened;
    }

    test("that ran out", async () => {
      const { store } = await lend();
      const expired = await store.expiredLeases(T0 + 2, 10);
      expect(expired).toEqual([
        {
          org: ORG,
          runId: "c",
          fence: 1,
          lease: { connectionId: "s0", workerId: "w0", until: T0 },
        },
        {
          org: ORG,
          runId: "a",
          fence: 2,
          lease: { connectionId: "s1", workerId: "w1", until: T0 + 1 },
        },
      ]);
      expect(await store.expiredLeases(T0 + 2, 1)).toHaveLength(1);
      expect(await store.expiredLeases(T0, 10)).toEqual([]);
    });

    test("all, page by page", async () => {
      const { store } = await lend();
      const first = await store.listLeases(undefined, 3);
      expect(first.map(({ runId }) => runId)).toEqual(["a", "b", "c"]);
      const rest = await store.listLeases({ org: ORG, runId: "c" }, 3);
      expect(rest.map(({ runId, fence }) => [runId, fence])).toEqual([["d", 3]]);
    });

    test("are renewed by session, with the fence as it is now", async () => {
      const { store } = await lend();
      const patch = makePatch({ fence: 70, status: "CANCELLING" });
      await commit(store, change("c", 1, 1, { patch }));
      const renewed = await store.renewSession("s0", T0 + 99);
      expect(renewed.toSorted((a, b) => a.fence - b.fence)).toEqual([
        {
          org: ORG,
          runId: "d",
          fence: 3,
          lease: { connectionId: "s0", workerId: "w0", until: T0 + 99 },
        },
        {
          org: ORG,
          runId: "c",
          fence: 70,
          lease: { connectionId: "s0", workerId: "w0", until: T0 + 99 },
        },
      ]);
      expect(await store.renewSession("nobody", T0 + 99)).toEqual([]);
      const others = await store.expiredLeases(T0 + 50, 10);
      expect(others.map(({ runId }) => runId)).toEqual(["a", "b"]);
    });

    test("are renewed one by one if the fence is right", async () => {
      const { store } = await lend();
      await commit(store, change("b", 4, 1, { lease: "remove" }));
      const renewed = await store.renewLeases(
        CALLER,
        [
          { runId: "d", fence: 3 },
          { runId: "nobody", fence: 1 },
          { runId: "c", fence: 2 },
          { runId: "b", fence: 4 },
          { runId: "a", fence: 2 },
        ],
        T0 + 99,
      );
      expect(renewed.map((run) => run?.runId)).toEqual(["d", undefined, undefined, undefined, "a"]);
      expect(renewed[0]?.lease.until).toBe(T0 + 99);
      expect((await store.expiredLeases(T0 + 50, 10)).map(({ runId }) => runId)).toEqual(["c"]);
    });

    test("are counted by session", async () => {
      const { store } = await lend();
      await commit(store, change("b", 4, 1, { lease: "remove" }));
      expect(await store.countLeases(CALLER)).toEqual(
        new Map([
          ["s0", 2],
          ["s1", 1],
        ]),
      );
      expect(await store.countLeases({ org: "acme" })).toEqual(new Map());
    });
  });
}
