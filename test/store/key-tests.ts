import { describe, expect, test } from "vitest";
import type { ApiKey } from "../../server/src/model/api-key.ts";
import { CALLER, T0 } from "./make.ts";
import type { Opened } from "./suite.ts";

const OTHER = { org: "acme" };

function key(keyId: string, more: Partial<ApiKey> = {}): ApiKey {
  return {
    keyId,
    digest: `digest of ${keyId}`,
    name: keyId,
    kind: "service",
    scopes: ["runs:read", "worker"],
    createdBy: "ada",
    createdAt: T0,
    expiresAt: 0,
    revokedAt: 0,
    lastUsedAt: 0,
    replacedBy: "",
    ...more,
  };
}

export function keyTests(get: () => Opened): void {
  describe("API keys", () => {
    test("are found by their digest, and listed by their organization, newest first", async () => {
      const { store } = get();
      expect(await store.accessState()).toEqual({ epoch: 0, hasOperator: false });
      const first = key("k1", { expiresAt: T0 + 5, scopes: [] });
      const second = key("k2", { kind: "operator", createdAt: T0 + 1 });
      expect(await store.putKey(CALLER, first)).toBe(true);
      expect(await store.putKey(CALLER, second)).toBe(true);
      expect(await store.putKey(OTHER, key("k3"))).toBe(true);
      expect(await store.listKeys(CALLER)).toEqual([second, first]);
      expect(await store.findKey(second.digest)).toEqual({ ...CALLER, ...second });
      expect(await store.findKey("digest of k3")).toMatchObject(OTHER);
      expect(await store.findKey("no digest")).toBeUndefined();
      expect(await store.accessState()).toEqual({ epoch: 3, hasOperator: true });
    });

    test("a name belongs to one key as long as that is good", async () => {
      const { store } = get();
      const named = (keyId: string, more: Partial<ApiKey> = {}) =>
        store.putKey(CALLER, key(keyId, { name: "ci", ...more }));
      expect(await named("k1", { expiresAt: T0 + 10 })).toBe(true);
      expect(await named("k2")).toBe(false);
      expect(await store.putKey(OTHER, key("k3", { name: "ci" }))).toBe(true);
      expect((await store.accessState()).epoch).toBe(2);
      expect(await named("k4", { createdAt: T0 + 10 })).toBe(true);
      expect(await store.revokeKey(CALLER, "k4", T0 + 11)).toBe(true);
      expect(await named("k5", { createdAt: T0 + 12 })).toBe(true);
    });

    test("a key is revoked once, by its own organization", async () => {
      const { store } = get();
      await store.putKey(CALLER, key("k1", { kind: "operator" }));
      expect(await store.revokeKey(OTHER, "k1", T0)).toBe(false);
      expect(await store.revokeKey(CALLER, "k1", T0 + 1)).toBe(true);
      expect(await store.revokeKey(CALLER, "k1", T0 + 2)).toBe(false);
      expect(await store.listKeys(CALLER)).toMatchObject([{ revokedAt: T0 + 1 }]);
      expect(await store.accessState()).toEqual({ epoch: 2, hasOperator: true });
    });

    test("a rotated key ends after the overlap, or sooner if it does anyway", async () => {
      const { store } = get();
      await store.putKey(CALLER, key("k1", { name: "ci" }));
      await store.putKey(CALLER, key("k2", { name: "web", expiresAt: T0 + 50 }));
      const until = T0 + 100;
      const rotated = (keyId: string, name: string, old: string) =>
        store.putKey(CALLER, key(keyId, { name, createdAt: T0 + 1 }), { keyId: old, until });
      expect(await rotated("k3", "ci", "k1")).toBe(true);
      expect(await rotated("k4", "web", "k2")).toBe(true);
      expect(await rotated("k5", "ci", "k1")).toBe(false);
      expect(await rotated("k5", "none", "k9")).toBe(false);
      const byId = new Map((await store.listKeys(CALLER)).map((one) => [one.keyId, one]));
      expect(byId.get("k1")).toMatchObject({ expiresAt: until, replacedBy: "k3" });
      expect(byId.get("k2")).toMatchObject({ expiresAt: T0 + 50, replacedBy: "k4" });
      expect([...byId.keys()].sort()).toEqual(["k1", "k2", "k3", "k4"]);
      expect((await store.accessState()).epoch).toBe(4);
    });

    test("the last use is kept, and raises no epoch", async () => {
      const { store } = get();
      await store.putKey(CALLER, key("k1"));
      await store.touchKeys([
        { ...CALLER, keyId: "k1", at: T0 + 9 },
        { ...OTHER, keyId: "k1", at: T0 + 99 },
      ]);
      await store.touchKeys([{ ...CALLER, keyId: "k1", at: T0 + 3 }]);
      expect(await store.listKeys(CALLER)).toMatchObject([{ lastUsedAt: T0 + 9 }]);
      expect((await store.accessState()).epoch).toBe(1);
    });
  });
}
