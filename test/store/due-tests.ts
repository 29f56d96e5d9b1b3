import { describe, expect, test } from "vitest";
import type { DueRow } from "../../server/src/store/due.ts";
import { commit, insertion, makeHeader, ORG, T0 } from "./make.ts";
import type { Opened } from "./suite.ts";

export function dueTests(get: () => Opened): void {
  describe("due work", () => {
    test("oldest first, up to now, with the time of the next", async () => {
      const { store } = get();
      expect(await store.due(T0, 10)).toEqual({ items: [], nextAt: undefined });
      const put = (key: string, at: number) => ({ kind: "wait", key, at, data: "" }) as const;
      await commit(
        store,
        insertion(makeHeader("r1"), { duePut: [put("late", T0 + 9), put("old", T0 - 9)] }),
        insertion(makeHeader("r2"), { duePut: [put("now", T0), put("later", T0 + 10)] }),
      );
      const { items, nextAt } = await store.due(T0, 10);
      expect(items).toEqual([
        { org: ORG, subject: { kind: "run", id: "r1" }, ...put("old", T0 - 9) },
        { org: ORG, subject: { kind: "run", id: "r2" }, ...put("now", T0) },
      ]);
      expect(nextAt).toBe(T0 + 9);
      expect((await store.due(T0, 1)).items).toHaveLength(1);
      expect((await store.due(T0 + 99, 10)).nextAt).toBeUndefined();
    });

    test("an organization with very many timers does not delay another's", async () => {
      const { store } = get();
      const put = (key: string, at: number) => ({ kind: "wait", key, at, data: "" }) as const;
      const many = Array.from({ length: 50 }, (_, i) => put(`many${i}`, T0 - 100 + i));
      const of = (org: string, duePut: readonly DueRow[]) => ({
        ...insertion(makeHeader("r1", { org }), { duePut }),
        org,
      });
      await commit(
        store,
        of("acme", many),
        of("default", [put("one", T0 - 1)]),
        of("zulu", [put("first", T0 - 2), put("second", T0), put("later", T0 + 5)]),
      );
      const { items, nextAt } = await store.due(T0, 6);
      expect(items.map(({ org, key }) => `${org} ${key}`)).toEqual([
        "acme many0",
        "acme many1",
        "zulu first",
        "default one",
        "zulu second",
      ]);
      expect(nextAt).toBe(T0 + 5);
      // With more organizations than rows, those that have waited longest come first.
      const first = await store.due(T0, 2);
      expect(first.items.map(({ org }) => org)).toEqual(["acme", "zulu"]);
    });
  });
}
