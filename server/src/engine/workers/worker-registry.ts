/**
 * Which workflows there are, and which workers serve them. The store has the truth; what is kept
 * here is a copy for as long as it is fresh.
 */
import { isDeepStrictEqual } from "node:util";
import type { Clock } from "../../lib/clock.ts";
import { BOUNDS } from "../../model/bounds.ts";
import type { Tenant } from "../../model/caller.ts";
import { notFound, PawlError } from "../../model/errors.ts";
import { laneName, parseConnectionId } from "../../model/ids.ts";
import type { RunHeader } from "../../model/run.ts";
import { WORKFLOWS } from "../../store/records.ts";
import type { WorkerRow, WorkflowRow } from "../../store/registry.ts";
import type { Store } from "../../store/store.ts";
import type { Writer } from "../writer.ts";
import { type Connections, lanesOf } from "./connections.ts";
import type { WorkerInfo, WorkerView, WorkflowView } from "./worker-types.ts";

/** A worker that said nothing for this long is not counted as live. */
const WORKER_LIVE_MS = 20_000;
/** One that has gone is shown for this long; each start of a process is another one. */
export const WORKER_SHOWN_MS = 3_600_000;
const WORKERS_SHOWN = 1_000;
const FRESH_MS = 1_000;
const LIVE_KEPT_MS = 250;

interface Known {
  readonly workflows: Map<string, WorkflowRow>;
  readAt: number;
}

export interface WorkerRegistryParts {
  readonly store: Store;
  readonly writer: Pick<Writer, "record">;
  readonly clock: Clock;
  readonly connections: Connections;
}

export class WorkerRegistry {
  readonly #store: Store;
  readonly #writer: Pick<Writer, "record">;
  readonly #clock: Clock;
  readonly #connections: Connections;
  readonly #known = new Map<string, Known>();
  readonly #liveRead = new Map<string, { at: number; workers: WorkerInfo[] }>();
  /** Grows with every registration: what was read before one is not fresh after it. */
  #registrations = 0;
  /** Workers that poll at this server, by org and process. */
  readonly #pollers = new Map<string, { org: string; worker: WorkerInfo; seenAt: number }>();

  constructor({ store, writer, clock, connections }: WorkerRegistryParts) {
    this.#store = store;
    this.#writer = writer;
    this.#clock = clock;
    this.#connections = connections;
  }

  /** Records the worker's workflows, if there is anything new about them. */
  async register(caller: Tenant, worker: WorkerInfo): Promise<void> {
    const known = await this.#read(caller, false);
    const fresh = worker.workflows.filter((spec) => {
      const row = known.workflows.get(spec.name);
      return (
        row === undefined ||
        row.version !== spec.version ||
        row.description !== spec.description ||
        row.inputSchema !== spec.inputSchema ||
        row.outputSchema !== spec.outputSchema ||
        row.metadata !== spec.metadata ||
        row.flow !== spec.flow ||
        row.timeouts !== spec.timeouts
      );
    });
    if (fresh.length === 0) return;
    if (known.workflows.size + fresh.length > BOUNDS.workflows) {
      throw new PawlError(
        "RATE_LIMITED",
        `${BOUNDS.workflows} workflows are registered, which is the limit.`,
      );
    }
    const registeredAt = this.#clock.now();
    const { org } = caller;
    await Promise.all(
      fresh.map((spec) =>
        this.#writer.record({
          ...{ table: WORKFLOWS, org, id: spec.name },
          decide: (found) => ({
            value: { ...spec, versions: versionsWith(spec.version, found), registeredAt },
            reply: undefined,
          }),
        }),
      ),
    );
    this.#registrations += 1;
    const latest = this.#known.get(caller.org);
    if (latest !== undefined) latest.readAt = 0;
  }

  /** Undefined when no worker ever registered it. */
  async find(caller: Tenant, name: string): Promise<WorkflowRow | undefined> {
    const row = (await this.#read(caller, false)).workflows.get(name);
    return row ?? (await this.#read(caller, true)).workflows.get(name);
  }

  /** Like `find`, but rejects with NOT_FOUND and the names there are. */
  async get(caller: Tenant, name: string): Promise<WorkflowRow> {
    const row = await this.find(caller, name);
    if (row !== undefined) return row;
    const known = [...(await this.#read(caller, false)).workflows.keys()].sort().slice(0, 100);
    const list =
      known.length === 0
        ? "No worker has registered any yet; start one."
        : `Known: ${known.join(", ")}.`;
    throw new PawlError("NOT_FOUND", `There is no workflow "${name}". ${list}`, {
      metadata: { workflow: name, known: known.join(",") },
    });
  }

  /** Returns a workflow as it is shown. Rejects with NOT_FOUND and the names there are. */
  async getWorkflow(caller: Tenant, name: string): Promise<WorkflowView> {
    await this.get(caller, name);
    const found = (await this.listWorkflows(caller)).find(({ spec }) => spec.name === name);
    if (found === undefined) throw notFound("workflow", name);
    return found;
  }

  async listWorkflows(caller: Tenant): Promise<WorkflowView[]> {
    const { workflows } = await this.#read(caller, true);
    const live = await this.#live(caller);
    return [...workflows.values()]
      .sort((a, b) => (a.name < b.name ? -1 : 1))
      .map((row) => ({
        spec: row,
        versions: row.versions,
        servedBy: [
          ...new Set(live.filter(servesWorkflow(row.name)).map(({ workerId }) => workerId)),
        ],
        registeredAt: row.registeredAt,
      }));
  }

  async listWorkers(caller: Tenant): Promise<WorkerView[]> {
    const now = this.#clock.now();
    const rows = await this.#store.listWorkers(caller, now - WORKER_SHOWN_MS, WORKERS_SHOWN);
    const inFlight = new Map<string, number>();
    for (const [connectionId, count] of await this.#store.countLeases(caller)) {
      const { instance } = parseConnectionId(connectionId);
      inFlight.set(instance, (inFlight.get(instance) ?? 0) + count);
    }
    return rows
      .map((row) => ({
        info: infoOf(row),
        connected: isLive(row, now),
        seenAt: row.seenAt,
        inFlight: inFlight.get(row.instanceId) ?? 0,
      }))
      .sort((a, b) => Number(b.connected) - Number(a.connected) || b.seenAt - a.seenAt);
  }

  /** Whether a live worker, here or at another replica, would take the run. */
  async isServed(header: RunHeader): Promise<boolean> {
    const lane = laneName(header.workflow, header.version);
    const serves = (worker: WorkerInfo): boolean =>
      worker.queues.includes(header.queue) && lanesOf(worker).includes(lane);
    for (const connection of this.#connections.all()) {
      if (connection.open && connection.org === header.org && serves(connection.worker))
        return true;
    }
    return (await this.#live({ org: header.org })).some(serves);
  }

  async seen(caller: Tenant, worker: WorkerInfo, connected: boolean): Promise<void> {
    const { workerId, instanceId, ...info } = worker;
    const row = {
      workerId,
      instanceId,
      connected,
      seenAt: this.#clock.now(),
      info: JSON.stringify(info),
    };
    this.#liveRead.delete(caller.org);
    await this.#store.putWorker(caller, row);
  }

  /** A worker that polls; written down now and then. */
  async polled(caller: Tenant, worker: WorkerInfo): Promise<void> {
    const key = `${caller.org}\n${worker.instanceId}`;
    const now = this.#clock.now();
    const before = this.#pollers.get(key);
    // A process may begin to serve more while it continues polling.
    await this.register(caller, worker);
    const isSame = before !== undefined && isDeepStrictEqual(before.worker, worker);
    if (isSame && now - before.seenAt < BOUNDS.heartbeatMs) return;
    this.#pollers.set(key, { org: caller.org, worker, seenAt: now });
    for (const [other, poller] of this.#pollers)
      if (now - poller.seenAt > WORKER_SHOWN_MS) this.#pollers.delete(other);
    await this.seen(caller, worker, true);
  }

  async #live(caller: Tenant): Promise<WorkerInfo[]> {
    const now = this.#clock.now();
    const kept = this.#liveRead.get(caller.org);
    if (kept !== undefined && now - kept.at < LIVE_KEPT_MS) return kept.workers;
    const rows = await this.#store.listWorkers(caller, now - WORKER_LIVE_MS, WORKERS_SHOWN);
    const workers = rows.filter((row) => isLive(row, now)).map(infoOf);
    this.#liveRead.set(caller.org, { at: now, workers });
    return workers;
  }

  async #read(caller: Tenant, again: boolean): Promise<Known> {
    const now = this.#clock.now();
    const known = this.#known.get(caller.org);
    if (
      known !== undefined &&
      known.readAt > 0 &&
      (!again || now - known.readAt < (this.#store.replicas ? 0 : FRESH_MS))
    ) {
      return known;
    }
    const registrations = this.#registrations;
    const rows = await this.#store.listWorkflows(caller);
    const readAt = registrations === this.#registrations ? now : 0;
    const read = { workflows: new Map(rows.map((row) => [row.name, row])), readAt };
    this.#known.set(caller.org, read);
    return read;
  }
}

/** The versions ever registered, the latest registration last. */
function versionsWith(version: string, found: WorkflowRow | undefined): string[] {
  return [...(found?.versions ?? []).filter((one) => one !== version), version];
}

function servesWorkflow(name: string): (worker: WorkerInfo) => boolean {
  return ({ workflows }) => workflows.some((spec) => spec.name === name);
}

function isLive(row: WorkerRow, now: number): boolean {
  return row.connected && now - row.seenAt < WORKER_LIVE_MS;
}

function infoOf(row: WorkerRow): WorkerInfo {
  const info: Omit<WorkerInfo, "workerId" | "instanceId"> = JSON.parse(row.info);
  return { workerId: row.workerId, instanceId: row.instanceId, ...info };
}
