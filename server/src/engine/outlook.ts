/** What only others know of a run that waits for them: for a worker, or for a child. */
import { nearest } from "../lib/nearest.ts";
import { WAIT_KINDS } from "../model/entry.ts";
import { LIMITS } from "../model/limits.ts";
import type { OpenWait, RunHeader } from "../model/run.ts";
import type { WaitView } from "./api-waits.ts";
import type { Core } from "./core.ts";
import { listedView } from "./wait-rows.ts";

/** Whether anybody will continue with a run. */
export interface Outlook {
  readonly served: boolean;
  /** Where no worker ever registered its workflow: which names there are, as a sentence. */
  readonly unknown?: string;
  /** Of a run that waits for children that wait for a worker: which, as a sentence. */
  readonly children?: string;
}

const SERVED: Outlook = Object.freeze({ served: true });
/** Children that are looked at, and names that are told. */
const FEW = 5;

/** @param isDeep whether its children are looked at, too */
export async function outlookOf(core: Core, header: RunHeader, isDeep = true): Promise<Outlook> {
  if (header.state === "WAITING" && isDeep)
    return { ...SERVED, children: await idleChildren(core, header) };
  const isWaiting = header.state === "QUEUED" || header.state === "CANCELLING";
  if (!isWaiting || header.lease !== null || (await core.registry.isServed(header))) return SERVED;
  return { served: false, unknown: await unknownName(core, header) };
}

/** Empty where the name is known. */
async function unknownName(core: Core, { org, workflow }: RunHeader): Promise<string> {
  if ((await core.registry.find({ org }, workflow)) !== undefined) return "";
  const names = (await core.registry.list({ org })).map(({ spec }) => spec.name);
  const meant = nearest(workflow, names);
  if (meant !== undefined) return ` None ever did; did you mean "${meant}"?`;
  const some = names.slice(0, FEW).map((name) => `"${name}"`);
  const more = names.length > FEW ? " …" : "";
  return some.length === 0
    ? " None ever did."
    : ` None ever did; there are ${some.join(", ")}${more}.`;
}

async function idleChildren(core: Core, { org, waiting }: RunHeader): Promise<string> {
  const ids = waiting?.waits.flatMap(({ childRunId }) => childRunId ?? []).slice(0, FEW) ?? [];
  if (ids.length === 0) return "";
  const refs = ids.map((runId) => ({ org, runId, afterSeq: 0xffff_fffe }));
  for (const child of await core.store.loadRuns(refs)) {
    if (child?.header.state !== "QUEUED" || child.header.reason !== "") continue;
    const { served, unknown = "" } = await outlookOf(core, child.header);
    if (served) continue;
    const { runId, workflow } = child.header;
    return ` The child "${runId}" is queued: no live worker serves the workflow "${workflow}".${unknown}`;
  }
  return "";
}

/** What is open while a worker has the run; a run that waits has it in its row. */
export async function openBeside(core: Core, header: RunHeader): Promise<{ waits?: OpenWait[] }> {
  const { org, runId, state, startedAt } = header;
  const mayHave = state === "RUNNING" || (state === "QUEUED" && startedAt !== 0);
  if (!mayHave) return {};
  const filter = { kinds: WAIT_KINDS, runId, limit: LIMITS.shownWaits };
  const { waits } = await core.store.listWaits({ org }, filter);
  return { waits: waits.map(listedView).map(openWaitOf) };
}

function openWaitOf({ key, kind, name, since, due, childRunId }: WaitView): OpenWait {
  return {
    ...{ key, kind, name, since },
    ...(due === 0 ? {} : { due }),
    ...(childRunId === "" ? {} : { childRunId }),
  };
}
