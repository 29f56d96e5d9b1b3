import { describe, expect, test } from "vitest";
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
        { org: ORG, runId: "r1", ...put("old", T0 - 9) },
        { org: ORG, runId: "r2", ...put("now", T0) },
      ]);
      expect(nextAt).toBe(T0 + 9);
      expect((await store.due(T0, 1)).items).toHaveLength(1);
      expect((await store.due(T0 + 99, 10)).nextAt).toBeUndefined();
    });
  });
}
