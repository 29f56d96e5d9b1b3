/** Runs that wait, written straight into a store: what a server finds when it starts. */
import { uuidv7 } from "../../../server/src/lib/ids.ts";
import type { Entry } from "../../../server/src/model/entry.ts";
import { NEW_RUN, type RunHeader } from "../../../server/src/model/run.ts";
import { openStore } from "../../../server/src/store/open.ts";
import type { RunWrite } from "../../../server/src/store/runs.ts";
import { workflowName } from "./bench-runs.ts";

const org = "default";
const key = "sleep:nap";
const batchRuns = 500;

/** Makes runs that sleep, each until its moment in ms since the epoch. Answers their ids. */
export async function seedSleepers(url: string, moments: readonly number[]): Promise<string[]> {
  const store = await openStore(url, { migrate: true, onMessage: () => undefined });
  const ids: string[] = [];
  try {
    for (let from = 0; from < moments.length; from += batchRuns) {
      const now = Date.now();
      const writes = moments.slice(from, from + batchRuns).map((until) => sleeper(now, until));
      ids.push(...writes.map(({ runId }) => runId));
      const { confirmed } = await store.commit({ now, writes, claims: [] });
      if (confirmed.includes(false)) throw new Error("A run was there already.");
    }
  } finally {
    await store.close();
  }
  return ids;
}

function sleeper(seeded: number, until: number): RunWrite {
  const runId = uuidv7(seeded);
  // Begun an hour ago, where it is over soon.
  const now = until < seeded + 10_000 ? until - 3_600_000 : seeded;
  const header: RunHeader = {
    ...NEW_RUN,
    org,
    runId,
    runUid: runId,
    workflow: workflowName,
    status: "WAITING",
    fence: 2,
    seq: 3,
    attempt: 1,
    inputDigest: "0".repeat(64),
    createdAt: now,
    startAt: now,
    startedAt: now,
    updatedAt: now,
    waiting: {
      tree: { key },
      waits: [{ key, kind: "sleep", name: key, since: now, due: until }],
    },
  };
  const entry = (
    seq: number,
    type: Entry["type"],
    of: string,
    meta: Entry["meta"],
    payload?: Entry["payload"],
  ): Entry => ({ seq, at: now, type, key: of, attempt: of === "" ? 0 : 1, meta, payload });
  return {
    org,
    runId,
    expect: null,
    seq: 3,
    updatedAt: now,
    insert: header,
    entries: [
      entry(1, "run.started", "", {}, { encoding: "json", data: Buffer.from("{}") }),
      entry(2, "workflow.wait.created", key, { kind: "sleep", until, fence: 1, worker: "w" }),
      entry(3, "workflow.waiting", "", { fence: 1, worker: "w" }),
    ],
    changes: {
      due: { put: [{ kind: "wait", key, at: until, data: "" }], remove: [], elsewhere: [] },
      waits: {
        put: [
          {
            key,
            kind: "sleep",
            workflow: workflowName,
            since: now,
            until,
            data: "{}",
            assignees: undefined,
          },
        ],
        gone: [],
      },
    },
  };
}
