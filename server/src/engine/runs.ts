/** Use cases on runs: start, read, steer. */
import { digest, uuidv7 } from "../lib/ids.ts";
import type { Caller, Tenant } from "../model/caller.ts";
import type { Entry } from "../model/entry.ts";
import { invalid, leaseLost, notFound, PawlError } from "../model/errors.ts";
import { LIMITS } from "../model/limits.ts";
import type { Payload } from "../model/payload.ts";
import { hasLapsed, isTerminal, type RunHeader, timeoutsFrom } from "../model/run.ts";
import type { ListRuns, RunView, StartedRun, StartRun } from "./api.ts";
import type { Core } from "./core.ts";
import { startDebounced } from "./debounce.ts";
import * as lifecycle from "./decide/lifecycle.ts";
import {
  newRun,
  noteChild,
  type StartCommand,
  type StartReply,
  startAgain,
} from "./decide/start.ts";
import type { Draft } from "./draft.ts";
import { limitsOf } from "./flow.ts";
import { checkInput } from "./input-schema.ts";
import { withPayloads, workItem } from "./journal.ts";
import { openBeside, outlookOf } from "./outlook.ts";
import { runKey } from "./run-cache.ts";
import { type RunState, stateOf } from "./state.ts";
import { explain, explainInList, viewOf } from "./view.ts";

/** A seq that no journal reaches: loads a header without entries. */
const NO_ENTRIES = 0xffff_fffe;

export async function startRun(core: Core, caller: Caller, asked: StartRun): Promise<StartedRun> {
  if (asked.runId !== "" && asked.idempotencyKey !== "") {
    throw invalid("idempotency_key", "names the run, and so does run_id; give one of them");
  }
  // A claimer executes the run itself; a child may be deployed later than its parent, and waits.
  const workflow =
    asked.claim || asked.parent !== undefined
      ? await core.registry.find(caller, asked.workflow)
      : await core.registry.get(caller, asked.workflow);
  const start = { ...timeoutsFrom(workflow?.timeouts ?? ""), ...asked };
  await checkInput(start.workflow, workflow?.inputSchema ?? "", start.input);
  await checkPayload(core, caller, start.input);
  await checkParent(core, caller, start);

  const now = core.clock.now();
  const workerId = start.workerId || (core.process ?? "a caller without a name");
  const place = core.process === undefined ? "claim" : core.replicaId;
  const claimSession = `${place}/${workerId}/${uuidv7(now)}`;
  const command: StartCommand = {
    org: caller.org,
    start,
    runId: start.runId !== "" ? start.runId : idFor(caller, start, now),
    runUid: uuidv7(now),
    inputDigest: inputDigest(start.input),
    limits: await limitsOf(core, caller, start, workflow?.flow ?? ""),
    claim: start.claim
      ? {
          sessionId: claimSession,
          workerId,
          until: now + LIMITS.leaseMs,
        }
      : undefined,
  };
  if (start.debounce !== undefined) {
    const { draft, existing } = await startDebounced(core, caller, command);
    const header = { ...draft.header };
    const outlook = await outlookOf(core, header);
    return { run: { header, ...explain(header, now, outlook) }, existing };
  }
  await announceChild(core, caller, command);
  const result = await core.writer.submit<StartReply & { draft: Draft }>({
    org: caller.org,
    runId: command.runId,
    bytes: (start.input.data?.byteLength ?? 0) + 500,
    create: (moment) => {
      const draft = newRun(command, moment);
      return { draft, reply: { existing: false, claimed: draft.header.lease !== null, draft } };
    },
    decide: (draft) => ({ ...startAgain(draft, command), draft }),
  });
  const header = { ...result.draft.header };
  const outlook = await outlookOf(core, header);
  const run = isTerminal(header.state)
    ? await viewOf(core.store, caller, header, now, outlook, false)
    : { header, ...explain(header, now, outlook) };
  if (!result.claimed) return { run, existing: result.existing };
  const limit = { entries: LIMITS.journalPageEntries, bytes: LIMITS.dispatchJournalBytes };
  const page = await core.store.readJournal(caller, header.runId, 0, limit);
  return {
    run,
    existing: result.existing,
    claimed: await workItem(core.store, header, page.entries),
  };
}

/** Only who executes a run starts children of it. */
async function checkParent(core: Core, caller: Caller, start: StartRun): Promise<void> {
  const { parent } = start;
  if (parent === undefined) return;
  const header = await readHeader(core, caller, parent.runId);
  if (header.fence !== parent.fence || (header.lease === null && !hasLapsed(header)))
    throw leaseLost(parent.runId, parent.fence, header.fence);
}

/** A child that is cancelled with its parent is known to it before there is one. */
async function announceChild(
  core: Core,
  { org, session }: Caller,
  { runId, start }: StartCommand,
): Promise<void> {
  const { parent } = start;
  if (parent?.close !== "cancel") return;
  await core.writer.submit({
    org,
    runId: parent.runId,
    holder: { fence: parent.fence, session },
    bytes: 300,
    decide: (draft) => noteChild(draft, parent.fence, parent.key, runId),
  });
}

/** The same key names the same run, for ever and at every replica. */
function idFor(caller: Caller, start: StartRun, now: number): string {
  if (start.idempotencyKey === "") return uuidv7(now);
  return `key-${digest(caller.org, start.idempotencyKey).slice(0, 40)}`;
}

function inputDigest(input: Payload): string {
  return input.ref === undefined
    ? digest(input.encoding, digest(input.data))
    : digest(input.encoding, input.ref.sha256, String(input.ref.size));
}

/** A payload sent by reference must have been uploaded. */
export async function checkPayload(
  core: Core,
  caller: Caller,
  payload: Payload | undefined,
): Promise<void> {
  if (payload?.ref === undefined) return;
  const found = await core.store.getPayload(caller, payload.ref.sha256, 0, 0);
  if (found === undefined) throw notFound("payload", payload.ref.sha256);
  if (found.size !== payload.ref.size)
    throw invalid("ref.size", `is ${payload.ref.size}, but the payload has ${found.size} bytes`);
}

export async function readHeader(core: Core, caller: Tenant, runId: string): Promise<RunHeader> {
  const [loaded] = await core.store.loadRuns([{ org: caller.org, runId, afterSeq: NO_ENTRIES }]);
  if (loaded === undefined) throw notFound("run", runId);
  return loaded.header;
}

async function view(
  core: Core,
  caller: Caller,
  header: RunHeader,
  withInput: boolean,
): Promise<RunView> {
  const outlook = await outlookOf(core, header);
  const seen = await viewOf(core.store, caller, header, core.clock.now(), outlook, withInput);
  return { ...seen, ...(await openBeside(core, header)) };
}

/** @param how `basic`: without what has to be read from its journal */
export async function getRun(
  core: Core,
  caller: Caller,
  runId: string,
  how: "basic" | "full" = "full",
): Promise<RunView> {
  const header = await readHeader(core, caller, runId);
  if (how === "full") return view(core, caller, header, true);
  const why = explainInList(header, core.clock.now(), await outlookOf(core, header));
  return { header, ...why, ...(await openBeside(core, header)) };
}

export async function waitRun(
  core: Core,
  caller: Caller,
  runId: string,
  timeoutMs: number,
  signal: AbortSignal,
): Promise<RunView> {
  const deadline = core.clock.now() + Math.min(timeoutMs, LIMITS.waitRunMs);
  const channel = core.hub.watch(runKey(caller.org, runId));
  try {
    let header = await readHeader(core, caller, runId);
    while (!isTerminal(header.state)) {
      const left = deadline - core.clock.now();
      if (left <= 0 || signal.aborted) break;
      const until = AbortSignal.any([signal, AbortSignal.timeout(left)]);
      while (!channel.ended && !until.aborted) await channel.changed(until);
      header = await readHeader(core, caller, runId);
    }
    return await view(core, caller, header, false);
  } finally {
    channel.close();
  }
}

export async function listRuns(
  core: Core,
  caller: Caller,
  list: ListRuns,
): Promise<{ runs: RunView[]; nextPageToken: string }> {
  const page = await core.store.listRuns(caller, {
    states: list.states,
    ...(list.workflow === "" ? {} : { workflow: list.workflow }),
    tags: list.tags,
    ...(list.parentRunId === "" ? {} : { parentRunId: list.parentRunId }),
    limit: list.pageSize,
    ...(list.pageToken === "" ? {} : { after: parseToken(list.pageToken) }),
  });
  const now = core.clock.now();
  const runs = await Promise.all(
    page.runs.map(async (header) => ({
      header,
      ...explainInList(header, now, await outlookOf(core, header, false)),
      ...(await openBeside(core, header)),
    })),
  );
  const last = page.runs.at(-1);
  return { runs, nextPageToken: page.more && last !== undefined ? makeToken(last) : "" };
}

function makeToken(header: RunHeader): string {
  return Buffer.from(JSON.stringify([header.createdAt, header.runId])).toString("base64url");
}

function parseToken(token: string): { createdAt: number; runId: string } {
  try {
    const parsed: unknown = JSON.parse(Buffer.from(token, "base64url").toString("utf8"));
    if (Array.isArray(parsed) && typeof parsed[0] === "number" && typeof parsed[1] === "string") {
      return { createdAt: parsed[0], runId: parsed[1] };
    }
  } catch (error) {
    throw new PawlError("INVALID_ARGUMENT", "page_token: is not a valid token from this server", {
      metadata: { field: "page_token" },
      cause: error,
    });
  }
  throw invalid("page_token", "is not a valid token from this server");
}

export async function getJournal(
  core: Core,
  caller: Caller,
  runId: string,
  after: number,
  entriesMax: number,
): Promise<{ entries: Entry[]; more: boolean }> {
  const limit = {
    entries: Math.min(entriesMax, LIMITS.journalPageEntries),
    bytes: LIMITS.journalPageBytes,
  };
  const page = await core.store.readJournal(caller, runId, after, limit);
  if (page.entries.length === 0) await readHeader(core, caller, runId);
  return { entries: await withPayloads(core.store, caller, runId, page.entries), more: page.more };
}

/** Runs one decision on a run and answers with the run as it is then. */
async function steer(
  core: Core,
  caller: Caller,
  runId: string,
  decide: (draft: Draft) => void,
): Promise<RunView> {
  const header = await core.writer.submit({
    org: caller.org,
    runId,
    bytes: 500,
    decide: (draft) => {
      decide(draft);
      return draft.header;
    },
  });
  return view(core, caller, { ...header }, false);
}

export function cancelRun(
  core: Core,
  caller: Caller,
  runId: string,
  reason: string,
  graceMs: number,
  force: boolean,
): Promise<RunView> {
  return steer(core, caller, runId, (draft) => lifecycle.cancelRun(draft, reason, graceMs, force));
}

export function pauseRun(
  core: Core,
  caller: Caller,
  runId: string,
  reason: string,
): Promise<RunView> {
  return steer(core, caller, runId, (draft) => lifecycle.pauseRun(draft, reason));
}

export function resumeRun(core: Core, caller: Caller, runId: string): Promise<RunView> {
  return steer(core, caller, runId, lifecycle.resumeRun);
}

/**
 * Where a run failed through children, they continue from their own failed steps first, so that it takes
 * what becomes of them. A child that has been repaired since is taken as it is.
 */
export async function retryRun(core: Core, caller: Caller, runId: string): Promise<RunView> {
  await retryChildren(core, caller, runId, 1);
  return steer(core, caller, runId, lifecycle.retryRun);
}

/** How many generations are looked at. */
const GENERATIONS_MAX = 32;

async function retryChildren(
  core: Core,
  { org }: Tenant,
  runId: string,
  generation: number,
): Promise<void> {
  const [loaded] = await core.store.loadRuns([{ org, runId, afterSeq: 0 }]);
  if (loaded === undefined || generation > GENERATIONS_MAX) return;
  for (const childId of failedChildren(stateOf(loaded.header, loaded.entries))) {
    await retryChildren(core, { org }, childId, generation + 1);
    try {
      await core.writer.submit({ org, runId: childId, bytes: 500, decide: lifecycle.retryChild });
    } catch (error) {
      // It was deleted, and everyone who waits for it is told so.
      if (!(error instanceof PawlError && error.reason === "NOT_FOUND")) throw error;
    }
  }
}

/** The children through which a run has failed. */
function failedChildren({ header, steps, failedKeys }: RunState): string[] {
  if (header.state !== "FAILED") return [];
  return failedKeys.flatMap((key) => {
    const step = steps.get(key);
    return step?.outcome === "failed" && step.childRunId !== "" ? [step.childRunId] : [];
  });
}

export function updateTags(
  core: Core,
  caller: Caller,
  runId: string,
  set: Readonly<Record<string, string>>,
  remove: readonly string[],
): Promise<RunView> {
  return steer(core, caller, runId, (draft) => lifecycle.updateTags(draft, set, remove));
}

export async function deleteRun(core: Core, caller: Caller, runId: string): Promise<void> {
  await core.writer.submit({ org: caller.org, runId, bytes: 100, decide: lifecycle.deleteRun });
}
