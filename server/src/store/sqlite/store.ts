import type { Operation, Store } from "../store.ts";
import type { Link, SqliteSettings } from "./link.ts";
import type { Args, Results } from "./operations.ts";

/**
 * The embedded store: one SQLite file for one server.
 *
 * @param settings.thread whether the database has a thread of its own; on the main thread each
 *   commit blocks the event loop until the disk has it
 * @throws StartupError
 */
export async function openSqliteStore(
  settings: SqliteSettings & { readonly thread: boolean },
): Promise<Store> {
  if (settings.thread) {
    const { ThreadLink } = await import("./thread-link.ts");
    return storeOver(await ThreadLink.open(settings));
  }
  const { MainLink } = await import("./link.ts");
  return storeOver(new MainLink(settings));
}

/** The operations by name, since only the thread that executes them loads them. */
const OPERATIONS = {
  loadRuns: true,
  readJournal: true,
  readEntries: true,
  listRuns: true,
  listWaits: true,
  secret: true,
  due: true,
  admit: true,
  readyQueues: true,
  expiredLeases: true,
  listLeases: true,
  renewSession: true,
  renewLeases: true,
  loadRecords: true,
  listWorkflows: true,
  putWorker: true,
  listWorkers: true,
  sweepWorkers: true,
  countLeases: true,
  putPayload: true,
  getPayload: true,
  sweepPayloads: true,
  putDeltas: true,
  readDeltas: true,
  deltaHeads: true,
  deltaRuns: true,
  deleteDeltas: true,
  runMarks: true,
  endedSince: true,
  endedRuns: true,
  shrink: true,
  takeNudges: true,
  accessState: true,
  findKey: true,
  listKeys: true,
  putKey: true,
  revokeKey: true,
  touchKeys: true,
  ping: true,
} as const satisfies Record<Operation, true>;

type Call<O extends Operation> = (...args: Args[O]) => Promise<Results[O]>;
type Calls = { readonly [O in Operation]: Call<O> };

/** There are no other servers: nobody is to be woken, and nobody wakes this one. */
function storeOver(link: Link): Store {
  return {
    kind: "sqlite",
    replicas: false,
    ...callsOver(link),
    commit: (batch) => link.commit(batch),
    wake: () => Promise.resolve(),
    onWake: () => undefined,
    close: () => link.close(),
  };
}

function callsOver(link: Link): Calls {
  const calls: { [O in Operation]?: Call<O> } = {};
  for (const name of Object.keys(OPERATIONS)) if (isOperation(name)) addCall(calls, name, link);
  if (!isWhole(calls)) throw new TypeError("A store lacks an operation.");
  return calls;
}

function addCall<O extends Operation>(calls: { [M in O]?: Call<M> }, name: O, link: Link): void {
  calls[name] = (...args: Args[O]) => link.call(name, ...args);
}

function isOperation(name: string): name is Operation {
  return name in OPERATIONS;
}

function isWhole(calls: { [O in Operation]?: Call<O> }): calls is Calls {
  return Object.keys(OPERATIONS).every((name) => name in calls);
}
