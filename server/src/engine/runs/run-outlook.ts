/** What only others know of a run that waits for them: for a worker, or for a child. */
import { nearest } from "../../lib/nearest.ts";
import { BOUNDS } from "../../model/bounds.ts";
import { WAIT_KINDS } from "../../model/entry.ts";
import type { OpenWait, RunHeader } from "../../model/run.ts";
import type { Store } from "../../store/store.ts";
import { listedView } from "../waits/wait-rows.ts";
import type { WaitView } from "../waits/wait-types.ts";
import type { WorkerRegistry } from "../workers/worker-registry.ts";
import { NO_ENTRIES } from "./read-header.ts";

export interface OutlookParts {
  readonly store: Store;
  readonly registry: WorkerRegistry;
}

/** Whether anybody will continue with a run. */
export interface Outlook {
  readonly served: boolean;
  /** Set where no worker ever registered its workflow: a sentence with the names there are. */
  readonly unknown?: string;
  /** Set where a run waits for children that wait for a worker: a sentence with their names. */
  readonly children?: string;
}

export const SERVED: Outlook = Object.freeze({ served: true });
/** Children that are looked at, and names that are told. */
const FEW = 5;

/** @param isDeep whether its children are looked at, too */
export async function outlookOf(
  parts: OutlookParts,
  header: RunHeader,
  { isDeep } = { isDeep: true },
): Promise<Outlook> {
  if (header.status === "WAITING" && isDeep)
    return { ...SERVED, children: await idleChildren(parts, header) };
  const isWaiting = header.status === "QUEUED" || header.status === "CANCELLING";
  if (!isWaiting || header.lease !== null || (await parts.registry.isServed(header))) return SERVED;
  return { served: false, unknown: await unknownName(parts.registry, header) };
}

/** Empty where the name is known. */
async function unknownName(
  registry: WorkerRegistry,
  { org, workflow }: RunHeader,
): Promise<string> {
  if ((await registry.find({ org }, workflow)) !== undefined) return "";
  const names = (await registry.listWorkflows({ org })).map(({ spec }) => spec.name);
  const meant = nearest(workflow, names);
  if (meant !== undefined) return ` None ever did; did you mean "${meant}"?`;
  const some = names.slice(0, FEW).map((name) => `"${name}"`);
  const more = names.length > FEW ? " …" : "";
  return some.length === 0
    ? " None ever did."
    : ` None ever did; there are ${some.join(", ")}${more}.`;
}

async function idleChildren(parts: OutlookParts, { org, waiting }: RunHeader): Promise<string> {
  const ids = waiting?.waits.flatMap(({ childRunId }) => childRunId ?? []).slice(0, FEW) ?? [];
  if (ids.length === 0) return "";
  const refs = ids.map((runId) => ({ org, runId, afterSeq: NO_ENTRIES }));
  for (const child of await parts.store.loadRuns(refs)) {
    if (child?.header.status !== "QUEUED" || child.header.reason !== "") continue;
    const { served, unknown = "" } = await outlookOf(parts, child.header);
    if (served) continue;
    const { runId, workflow } = child.header;
    return ` The child "${runId}" is queued: no live worker serves the workflow "${workflow}".${unknown}`;
  }
  return "";
}

/** What is open while a worker has the run; a run that waits has it in its row. */
export async function openBeside(store: Store, header: RunHeader): Promise<{ waits?: OpenWait[] }> {
  const { org, runId, status, startedAt } = header;
  const mayHave = status === "RUNNING" || (status === "QUEUED" && startedAt !== 0);
  if (!mayHave) return {};
  const filter = { kinds: WAIT_KINDS, runId, limit: BOUNDS.shownWaits };
  const { waits } = await store.listWaits({ org }, filter);
  return { waits: waits.map(listedView).map(openWaitOf) };
}

function openWaitOf({ key, kind, name, since, due, childRunId }: WaitView): OpenWait {
  return {
    ...{ key, kind, name, since },
    ...(due === 0 ? {} : { due }),
    ...(childRunId === "" ? {} : { childRunId }),
  };
}
