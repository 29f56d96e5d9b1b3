import { describe, expect, test } from "vitest";
import type { AdmissionWrite, Gate } from "../../server/src/store/admission.ts";
import type { Store } from "../../server/src/store/store.ts";
import {
  change,
  claim,
  commit,
  getRun,
  insertion,
  makeClaim,
  makeHeader,
  makePatch,
  T0,
} from "./make.ts";
import type { Opened } from "./suite.ts";

interface Hold {
  readonly gate?: string;
  readonly nextGate?: string;
  readonly rank?: number;
  readonly fair?: string;
  readonly at?: number;
  readonly gates?: Gate[];
}

function gateOf(name: string, capacity: number, with_: Partial<Gate> = {}): Gate {
  return { name, capacity, periodMs: 0, isLatest: true, ...with_ };
}

/** A new run that is held back. */
function held(runId: string, hold: Hold = {}) {
  const { gate = "g", nextGate = "", rank = 4, fair = "", at = T0 } = hold;
  const { gates = [gateOf(gate, 2)] } = hold;
  const ready = { queue: "default", lane: "digest", rank, readyAt: at };
  const admission: AdmissionWrite = {
    hold: { gate, nextGate, nextCapacity: 3, heldAt: at, fair, ready },
    gates,
  };
  return insertion(makeHeader(runId, { reason: "CONCURRENCY_LIMIT" }), { admission });
}

/** Admits, then claims all that is ready. */
async function passed(store: Store, now = T0): Promise<string[]> {
  await store.admit(now, 100);
  const runs = await claim(store, makeClaim(100), now);
  return runs.map(({ header }) => header.runId);
}

/** The run ends: its permits are given back. */
function ended(runId: string, fence: number, gate = "g") {
  const gates = [gateOf(gate, 1, { isLatest: false })];
  return change(runId, fence, 1, {
    patch: makePatch({ status: "COMPLETED", fence }),
    lease: "remove",
    admission: { leave: true, gates },
  });
}

export function admissionTests(get: () => Opened): void {
  describe("gates", () => {
    test("let that many runs pass at once, and the next when one stops", async () => {
      const { store } = get();
      await commit(store, ...["a", "b", "c", "d"].map((id) => held(id)));
      expect(await claim(store, makeClaim(9))).toEqual([]);
      expect(await store.admit(T0 + 5, 100)).toMatchObject({ admitted: 2 });
      expect(await getRun(store, "a")).toMatchObject({ fence: 1, reason: "", status: "QUEUED" });
      expect(await getRun(store, "c")).toMatchObject({ fence: 0, reason: "CONCURRENCY_LIMIT" });
      expect(await passed(store)).toEqual(["a", "b"]);
      expect(await store.admit(T0 + 9, 100)).toEqual({ admitted: 0, nextAt: undefined });
      // A server that writes under an older version than the admission's is refused.
      expect((await commit(store, change("a", 1, 1))).confirmed).toEqual([false]);
      expect((await commit(store, ended("a", 2))).confirmed).toEqual([true]);
      expect(await passed(store)).toEqual(["c"]);
      await commit(store, ended("b", 2), ended("c", 2));
      expect(await passed(store)).toEqual(["d"]);
    });

    test("keep nothing of a run that was refused, left, or ended", async () => {
      const { store } = get();
      await commit(store, ...["a", "b", "c"].map((id) => held(id, { gates: [gateOf("g", 1)] })));
      expect(await passed(store)).toEqual(["a"]);
      await commit(
        store,
        change("b", 0, 1, {
          patch: makePatch({ status: "CANCELLED", fence: 1 }),
          admission: { leave: true, gates: [gateOf("g", 1, { isLatest: false })] },
        }),
      );
      // A write that is not confirmed gives no permit back.
      expect((await commit(store, ended("a", 7))).confirmed).toEqual([false]);
      expect(await passed(store)).toEqual([]);
      await commit(store, ended("a", 2), held("e"));
      await commit(store, change("a", 2, 2, { deleteRun: true, entries: [] }));
      expect(await passed(store)).toEqual(["c", "e"]);
    });

    test("let the best pass first: by rank, then keys in turns, then by age", async () => {
      const { store } = get();
      const one = { gates: [gateOf("g", 100)] };
      const many = Array.from({ length: 6 }, (_, i) => held(`many-${i}`, { fair: "A", ...one }));
      await commit(store, ...many.slice(0, 3));
      await commit(store, ...many.slice(3));
      await commit(store, held("b-0", { fair: "B", at: T0 + 1, ...one }));
      await commit(store, held("b-1", { fair: "B", at: T0 + 2, ...one }));
      await commit(store, held("urgent", { fair: "A", rank: 0, at: T0 + 9, ...one }));
      const order: string[] = [];
      for (let i = 0; i < 9; i += 1) {
        await store.admit(T0 + 100 * i, 1);
        order.push(...(await passed1(store)));
      }
      expect(order).toEqual([
        ...["urgent", "many-0", "b-0", "many-1", "b-1"],
        ...["many-2", "many-3", "many-4", "many-5"],
      ]);
    });

    async function passed1(store: Store): Promise<string[]> {
      return (await claim(store, makeClaim(9))).map(({ header }) => header.runId);
    }

    test("with a period let that many pass in any of that length, then the gate behind decides", async () => {
      const { store } = get();
      const rate = gateOf("rate", 2, { periodMs: 1_000 });
      const gates = [rate];
      const runs = ["a", "b", "c", "d", "e"].map((id) =>
        held(id, { gate: "rate", nextGate: "g", gates }),
      );
      await commit(store, ...runs);
      await store.admit(T0, 100);
      expect(await passed(store)).toEqual(["a", "b"]);
      expect(await store.admit(T0 + 999, 100)).toEqual({ admitted: 0, nextAt: T0 + 1_000 });
      await store.admit(T0 + 1_000, 100);
      expect(await passed(store, T0 + 1_000)).toEqual(["c"]);
      expect(await getRun(store, "d")).toMatchObject({ reason: "CONCURRENCY_LIMIT", fence: 1 });
      expect(await getRun(store, "e")).toMatchObject({ fence: 0 });
      await commit(store, ended("a", 3));
      expect(await passed(store, T0 + 1_001)).toEqual(["d"]);
      await store.admit(T0 + 2_000, 100);
      expect(await passed(store, T0 + 2_000)).toEqual([]);
      await commit(store, ended("c", 3));
      expect(await passed(store, T0 + 2_001)).toEqual(["e"]);
    });

    test("take the limit of the latest start, and go away when nobody needs them", async () => {
      const { store, meddle } = get();
      await commit(store, ...["a", "b"].map((id) => held(id, { gates: [gateOf("g", 1)] })));
      expect(await passed(store)).toEqual(["a"]);
      // A run that was started under the old limit ends: that changes no limit.
      await commit(store, held("c", { gates: [gateOf("g", 5)] }));
      expect(await passed(store)).toEqual(["b", "c"]);
      await commit(store, ended("a", 2));
      await commit(store, held("d", { gates: [gateOf("g", 1, { isLatest: false })] }));
      expect(await passed(store)).toEqual(["d"]);
      await commit(store, ...["b", "c", "d"].map((id) => ended(id, 2)));
      expect(await store.admit(T0, 100)).toEqual({ admitted: 0, nextAt: undefined });
      await meddle("INSERT INTO gate SELECT org_id, 'g', 1, 0, NULL, 1 FROM run LIMIT 1");
    });
  });
}
