/** A store that fails once, at a chosen call: for tests of what happens then. */
import type { Store } from "../../server/src/store/store.ts";
import { StoreError } from "../../server/src/store/store-error.ts";

/** The methods that go to the database. */
export type StoreCall = Exclude<keyof Store, "kind" | "replicas" | "onWake" | "close">;

export interface Fault {
  /** Which call fails, from 1. */
  readonly failCall: number;
  /**
   * `before`: nothing reaches the database. `after`: the call was carried out, and its reply is
   * lost.
   */
  readonly when: "before" | "after";
  /** Whose calls are counted. Default: `commit` only. */
  readonly methods?: readonly StoreCall[] | "all";
}

export interface FaultyStore extends Store {
  /** The calls counted so far, failed ones included. */
  readonly calls: number;
  /** What the failing call was, once it has failed. */
  readonly failed: StoreCall | undefined;
}

/**
 * Wraps a store so that its n-th call rejects with a `StoreError`. All other calls pass through,
 * later ones too: a fault that was overcome stays overcome.
 */
export function faultyStore(store: Store, fault: Fault): FaultyStore {
  const counted = fault.methods ?? ["commit"];
  let calls = 0;
  let failed: StoreCall | undefined;

  /** Runs one call of `method`, or lets it fail where its turn has arrived. */
  async function pass<T>(method: StoreCall, call: () => Promise<T>): Promise<T> {
    if (counted !== "all" && !counted.includes(method)) return call();
    calls += 1;
    if (calls !== fault.failCall) return call();
    failed = method;
    if (fault.when === "before") {
      throw new StoreError(`Injected fault: call ${calls}, ${method}, was not carried out.`);
    }
    await call();
    throw new StoreError(`Injected fault: the reply to call ${calls}, ${method}, is lost.`);
  }

  return {
    kind: store.kind,
    replicas: store.replicas,
    get calls() {
      return calls;
    },
    get failed() {
      return failed;
    },
    commit: (...args) => pass("commit", () => store.commit(...args)),
    loadRuns: (...args) => pass("loadRuns", () => store.loadRuns(...args)),
    readJournal: (...args) => pass("readJournal", () => store.readJournal(...args)),
    readEntries: (...args) => pass("readEntries", () => store.readEntries(...args)),
    listRuns: (...args) => pass("listRuns", () => store.listRuns(...args)),
    listWaits: (...args) => pass("listWaits", () => store.listWaits(...args)),
    secret: (...args) => pass("secret", () => store.secret(...args)),
    admit: (...args) => pass("admit", () => store.admit(...args)),
    due: (...args) => pass("due", () => store.due(...args)),
    readyQueues: (...args) => pass("readyQueues", () => store.readyQueues(...args)),
    expiredLeases: (...args) => pass("expiredLeases", () => store.expiredLeases(...args)),
    listLeases: (...args) => pass("listLeases", () => store.listLeases(...args)),
    renewSession: (...args) => pass("renewSession", () => store.renewSession(...args)),
    renewLeases: (...args) => pass("renewLeases", () => store.renewLeases(...args)),
    loadRecords: (...args) => pass("loadRecords", () => store.loadRecords(...args)),
    listWorkflows: (...args) => pass("listWorkflows", () => store.listWorkflows(...args)),
    putWorker: (...args) => pass("putWorker", () => store.putWorker(...args)),
    listWorkers: (...args) => pass("listWorkers", () => store.listWorkers(...args)),
    sweepWorkers: (...args) => pass("sweepWorkers", () => store.sweepWorkers(...args)),
    countLeases: (...args) => pass("countLeases", () => store.countLeases(...args)),
    putPayload: (...args) => pass("putPayload", () => store.putPayload(...args)),
    getPayload: (...args) => pass("getPayload", () => store.getPayload(...args)),
    sweepPayloads: (...args) => pass("sweepPayloads", () => store.sweepPayloads(...args)),
    putDeltas: (...args) => pass("putDeltas", () => store.putDeltas(...args)),
    readDeltas: (...args) => pass("readDeltas", () => store.readDeltas(...args)),
    deltaHeads: (...args) => pass("deltaHeads", () => store.deltaHeads(...args)),
    deltaRuns: (...args) => pass("deltaRuns", () => store.deltaRuns(...args)),
    deleteDeltas: (...args) => pass("deleteDeltas", () => store.deleteDeltas(...args)),
    runMarks: (...args) => pass("runMarks", () => store.runMarks(...args)),
    endedSince: (...args) => pass("endedSince", () => store.endedSince(...args)),
    endedRuns: (...args) => pass("endedRuns", () => store.endedRuns(...args)),
    shrink: (...args) => pass("shrink", () => store.shrink(...args)),
    takeNudges: (...args) => pass("takeNudges", () => store.takeNudges(...args)),
    accessState: (...args) => pass("accessState", () => store.accessState(...args)),
    findKey: (...args) => pass("findKey", () => store.findKey(...args)),
    listKeys: (...args) => pass("listKeys", () => store.listKeys(...args)),
    putKey: (...args) => pass("putKey", () => store.putKey(...args)),
    revokeKey: (...args) => pass("revokeKey", () => store.revokeKey(...args)),
    touchKeys: (...args) => pass("touchKeys", () => store.touchKeys(...args)),
    wake: (...args) => pass("wake", () => store.wake(...args)),
    onWake: (listener) => store.onWake(listener),
    ping: (...args) => pass("ping", () => store.ping(...args)),
    close: () => store.close(),
  };
}
