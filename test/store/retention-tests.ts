import { describe, expect, test } from "vitest";
import type { RunHeader } from "../../server/src/model/run.ts";
import type { EndedPlace } from "../../server/src/store/retention.ts";
import { commit, insertion, makeHeader, ORG, T0 } from "./make.ts";
import type { Opened } from "./suite.ts";

const START: EndedPlace = { org: "", endedAt: 0, runId: "" };

function run(runId: string, endedAt: number, more: Partial<RunHeader> = {}) {
  const status = endedAt === 0 ? "QUEUED" : "COMPLETED";
  return insertion(makeHeader(runId, { status, endedAt, ...more }));
}

export function retentionTests(get: () => Opened): void {
  describe("ended runs", () => {
    test("are listed by their end, up to a time, one organization after the other", async () => {
      const { store } = get();
      expect(await store.endedRuns(START, T0, 10)).toEqual({ runs: [], next: undefined });
      await commit(
        store,
        run("c", T0 - 3),
        run("b", T0 - 2),
        run("a", T0 - 2),
        run("too young", T0),
        run("alive", 0),
        run("x", T0 - 1, { org: "acme" }),
        run("young too", T0 + 1, { org: "zulu" }),
      );
      const seen: string[] = [];
      for (let place: EndedPlace | undefined = START; place !== undefined; ) {
        const page = await store.endedRuns(place, T0, 2);
        for (const { org, runId, seq, isNeeded } of page.runs) {
          seen.push(`${org} ${runId}`);
          expect([seq, isNeeded]).toEqual([1, false]);
        }
        place = page.next;
      }
      expect(seen).toEqual(["acme x", `${ORG} c`, `${ORG} a`, `${ORG} b`]);
    });

    test("are needed by a parent that is there, and by a child that is alive", async () => {
      const { store } = get();
      await commit(
        store,
        run("waits", 0),
        run("1 of a waiting parent", T0 - 9, { parentRunId: "waits" }),
        run("2 with a living child", T0 - 8),
        run("its child", 0, { parentRunId: "2 with a living child" }),
        run("3 with an ended child", T0 - 7),
        run("4 of an ended parent", T0 - 6, { parentRunId: "3 with an ended child" }),
        run("5 of a deleted parent", T0 - 5, { parentRunId: "gone" }),
        run("6 of nobody", T0 - 4),
        run("7 of another organization's", T0 - 3, { org: "zulu", parentRunId: "waits" }),
      );
      const first = await store.endedRuns({ ...START, org: ORG }, T0, 10);
      const second = await store.endedRuns(first.next ?? START, T0, 10);
      const needed = [...first.runs, ...second.runs].map(({ runId, isNeeded }) => [
        runId.slice(0, 1),
        isNeeded,
      ]);
      expect(Object.fromEntries(needed)).toEqual({
        1: true,
        2: true,
        3: false,
        4: true,
        5: false,
        6: false,
        7: false,
      });
    });
  });
}
