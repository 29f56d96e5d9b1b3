import { describe, expect, test } from "vitest";
import { CALLER, change, commit, insertion, makeHeader, T0 } from "./make.ts";
import type { Opened } from "./suite.ts";

export function payloadTests(get: () => Opened): void {
  describe("payloads", () => {
    const data = Uint8Array.from({ length: 1_000 }, (_, i) => i % 251);
    const blob = { sha256: "ab", data };

    test("are read piece by piece", async () => {
      const { store } = get();
      await store.putPayload(CALLER, blob, T0);
      const pieces: number[] = [];
      for (let offset = 0; offset < 1_000; offset += 300) {
        const piece = await store.getPayload(CALLER, "ab", offset, 300);
        expect(piece?.size).toBe(1_000);
        pieces.push(...(piece?.data ?? []));
      }
      expect(pieces).toEqual([...data]);
      expect((await store.getPayload(CALLER, "ab", 5_000, 300))?.data.byteLength).toBe(0);
      expect((await store.getPayload(CALLER, "ab", 0, 0))?.size).toBe(1_000);
      expect(await store.getPayload(CALLER, "cd", 0, 300)).toBeUndefined();
    });

    test("are swept when old and without a reference, not before", async () => {
      const { store } = get();
      const there = async (sha256: string) =>
        (await store.getPayload(CALLER, sha256, 0, 1)) !== undefined;
      await store.putPayload(CALLER, blob, T0);
      await store.putPayload(CALLER, { ...blob, sha256: "again" }, T0);
      await store.putPayload(CALLER, { ...blob, sha256: "again" }, T0 + 9);
      const ref = { sha256: "used", size: 1_000 };
      const payloads = [{ ...blob, sha256: "used" }];
      await commit(store, insertion(makeHeader("r1"), { payloads, payloadRefs: [ref] }));
      await commit(store, insertion(makeHeader("r2"), { payloadRefs: [ref] }));
      expect(await store.sweepPayloads(T0, 10)).toBe(0);
      expect(await store.sweepPayloads(T0 + 1, 10)).toBe(1);
      expect([await there("ab"), await there("again"), await there("used")]).toEqual([
        false,
        true,
        true,
      ]);
      const gone = { entries: [], seq: 1, deleteRun: true } as const;
      await commit(store, change("r1", 0, 1, gone));
      expect(await store.sweepPayloads(T0 + 99, 1)).toBe(1);
      expect([await there("again"), await there("used")]).toEqual([false, true]);
      await commit(store, change("r2", 0, 1, gone));
      expect(await store.sweepPayloads(T0 + 99, 1)).toBe(1);
      expect(await there("used")).toBe(false);
    });
  });
}
