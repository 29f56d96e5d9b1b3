import type { Clock } from "../../lib/clock.ts";
import { sha256, uuidv7 } from "../../lib/ids.ts";
import type { Caller } from "../../model/caller.ts";
import { WAIT_KINDS, type WaitKind } from "../../model/entry.ts";
import { invalid, notFound, PawlError } from "../../model/errors.ts";
import { formatPageToken, parsePageToken } from "../../model/ids.ts";
import type { Payload } from "../../model/payload.ts";
import {
  type Answer,
  checkAnswer,
  invalidAnswer,
  parseAnswer,
  type Question,
} from "../../model/question.ts";
import { isTerminal, type RunHeader } from "../../model/run.ts";
import { createdAtOf, mayBeOf, waitIdOf } from "../../model/wait-id.ts";
import type { Store } from "../../store/store.ts";
import * as answers from "../decide/answer-rules.ts";
import type { Draft } from "../draft.ts";
import { readEntry, samePayload } from "../journal/journal-reads.ts";
import {
  type RunMemory,
  type StepRecord,
  stateOf,
  type WaitRecord,
} from "../journal/run-memory.ts";
import { checkPayload } from "../payloads/payloads.ts";
import { formProblem } from "../schemas/input-schema.ts";
import type { Writer } from "../writer.ts";
import type { WaitLinks } from "./wait-links.ts";
import { closedKind, listedView } from "./wait-rows.ts";
import type {
  AnsweredWait,
  AnswerLink,
  AnswerWait,
  CancelWait,
  FoundWait,
  LinkOptions,
  ListWaits,
  WaitKey,
  WaitView,
} from "./wait-types.ts";

export interface WaitsParts {
  readonly store: Store;
  readonly clock: Clock;
  readonly writer: Writer;
  readonly links: WaitLinks;
}

/** Use cases on waits: lists, answers, cancels and links. */
export class Waits {
  readonly #parts: WaitsParts;

  constructor(parts: WaitsParts) {
    this.#parts = parts;
  }

  async list(
    caller: Caller,
    list: ListWaits,
  ): Promise<{ waits: WaitView[]; nextPageToken: string }> {
    const kinds = list.kinds.length === 0 ? WAIT_KINDS : list.kinds;
    const { closed } = list;
    const { assignee, workflow, runId, pageSize, pageToken } = list;
    // Only questions have assignees.
    if (assignee !== "" && !kinds.includes("user")) return { waits: [], nextPageToken: "" };
    const page = await this.#parts.store.listWaits(caller, {
      kinds: [...new Set(kinds)].map((kind) => (closed ? closedKind(kind) : kind)),
      ...(closed ? { newest: true } : {}),
      ...(assignee === ""
        ? {}
        : { assignees: [assignee, ...(list.includeUnassigned ? [""] : [])] }),
      ...(workflow === "" ? {} : { workflow }),
      ...(runId === "" ? {} : { runId }),
      limit: pageSize,
      ...(pageToken === "" ? {} : { after: afterToken(pageToken) }),
    });
    const last = page.waits.at(-1);
    return {
      waits: page.waits.map(listedView),
      nextPageToken:
        page.more && last !== undefined ? formatPageToken([last.since, last.runId, last.key]) : "",
    };
  }

  async get(caller: Caller, id: WaitKey): Promise<FoundWait> {
    const { runId, key } = id;
    const [loaded] = await this.#parts.store.loadRuns([{ org: caller.org, runId, afterSeq: 0 }]);
    if (loaded !== undefined) mustBeMeant(id, loaded.header);
    const state = loaded === undefined ? undefined : stateOf(loaded.header, loaded.entries);
    const step = state?.steps.get(key);
    if (state === undefined || step?.wait === undefined)
      throw notFound("wait", `${key} of run ${runId}`);
    const entry =
      step.status === "resolved"
        ? await readEntry(this.#parts.store, caller, state.header, step.seq)
        : undefined;
    const runState = state.header.status;
    return {
      wait: viewOf(state, key, step, step.wait),
      runUid: state.header.runUid,
      payload: entry?.payload,
      ended: isTerminal(runState) ? runState : undefined,
    };
  }

  /** The id says when the run was created, and which of its waits is meant. */
  async find(caller: Caller, waitId: string): Promise<WaitKey> {
    const createdAt = createdAtOf(waitId);
    if (createdAt === undefined)
      throw invalid("wait_id", "is not the id of a wait; lists of waits and a run's waits have it");
    let after = { createdAt: createdAt + 1, runId: "" };
    for (;;) {
      const page = await this.#parts.store.listRuns(caller, {
        statuses: [],
        tags: {},
        limit: RUNS_TOGETHER,
        after,
      });
      for (const header of page.runs) {
        if (header.createdAt !== createdAt) throw notFound("wait", waitId);
        const key = mayBeOf(waitId, header) ? await this.#keyOf(header, waitId) : undefined;
        if (key !== undefined) return { runId: header.runId, key, runUid: header.runUid };
      }
      const last = page.runs.at(-1);
      if (last === undefined || !page.more) throw notFound("wait", waitId);
      after = { createdAt, runId: last.runId };
    }
  }

  async #keyOf(header: RunHeader, waitId: string): Promise<string | undefined> {
    const state = await this.#stateIn(header.org, header.runId);
    if (state?.header.runUid !== header.runUid) return undefined;
    for (const [key, { wait }] of state.steps)
      if (wait !== undefined && waitIdOf(header, key) === waitId) return key;
    return undefined;
  }

  /** The only question of a run that is open, or the one that was answered under that id. */
  async findQuestion(caller: Caller, runId: string, resolutionId: string): Promise<WaitKey> {
    const state = await this.#stateIn(caller.org, runId);
    if (state === undefined) throw notFound("run", runId);
    const { runUid } = state.header;
    const open: { readonly key: string; readonly question: Question }[] = [];
    for (const [key, { status, wait }] of state.steps) {
      if (wait?.question === undefined) continue;
      const answers = [
        ...wait.answers,
        ...(wait.resolution === undefined ? [] : [wait.resolution]),
      ];
      if (resolutionId !== "" && answers.some((answer) => answer.resolutionId === resolutionId))
        return { runId, key, runUid };
      if (status === "waiting") open.push({ key, question: wait.question });
    }
    const [first, second] = open;
    if (first === undefined) {
      if (isTerminal(state.header.status)) throw answers.runEnded(runId, state.header.status);
      throw new PawlError("NOT_FOUND", `Run "${runId}" has no open question.`, {
        metadata: { run_id: runId },
      });
    }
    if (second === undefined) return { runId, key: first.key, runUid };
    throw severalQuestions(state.header, open);
  }

  async #stateIn(org: string, runId: string): Promise<RunMemory | undefined> {
    const [loaded] = await this.#parts.store.loadRuns([{ org, runId, afterSeq: 0 }]);
    return loaded === undefined ? undefined : stateOf(loaded.header, loaded.entries);
  }

  async answer(caller: Caller, request: AnswerWait): Promise<AnsweredWait> {
    const { runId, key, answer } = request;
    await checkPayload(this.#parts.store, caller, answer);
    const resolutionId = request.resolutionId || uuidv7(this.#parts.clock.now());
    const { decision, wait, runUid } = await withFormsChecked((check) =>
      this.#parts.writer.submit({
        org: caller.org,
        runId,
        bytes: 500 + (answer?.data?.byteLength ?? 0),
        decide: (draft) => {
          mustBeMeant(request, draft.header);
          const decision = answers.answerWait(draft, { ...request, resolutionId }, check);
          return { decision, wait: viewIn(draft, key), runUid: draft.header.runUid };
        },
      }),
    );
    switch (decision.kind) {
      case "recorded":
        return { wait, duplicate: false, resolutionId };
      case "answered":
        throw answeredBefore(wait, decision.by);
      case "resolved":
        throw alreadyResolved(wait);
      case "duplicate": {
        const run = { runId, runUid };
        const { payload } = await readEntry(this.#parts.store, caller, run, decision.seq);
        const same = answer === undefined ? decision.skipped : samePayload(payload, answer, sha256);
        if (same) return { wait, duplicate: true, resolutionId };
        throw alreadyResolved(wait);
      }
    }
  }

  async cancel(
    caller: Caller,
    { runId, key }: WaitKey,
    { actor, comment }: CancelWait,
  ): Promise<WaitView> {
    const { cancelled, wait } = await this.#parts.writer.submit({
      org: caller.org,
      runId,
      bytes: 500,
      decide: (draft) => ({
        cancelled: answers.cancelWait(draft, key, actor, comment),
        wait: viewIn(draft, key),
      }),
    });
    if (!cancelled) throw alreadyResolved(wait);
    return wait;
  }

  /** Makes a link for one person; nothing is recorded until it is used. */
  async createLink(
    caller: Caller,
    id: WaitKey,
    { assignee, expiresInMs }: LinkOptions,
  ): Promise<AnswerLink> {
    const { wait, runUid, ended } = await this.get(caller, id);
    if (ended !== undefined) throw answers.runEnded(id.runId, ended);
    if (wait.question === undefined)
      throw invalid("wait_id", `names a wait of the kind ${wait.kind}, not a question`);
    if (wait.resolution !== undefined) throw alreadyResolved(wait);
    if (wait.closed !== undefined) throw answers.waitClosed(wait.waitId, wait.closed);
    answers.checkActor(wait.question, assignee);
    const before = wait.answers.find(({ actor }) => actor === assignee);
    if (before !== undefined) throw answeredBefore(wait, before);
    return this.#parts.links.answerLink(caller, { ...id, runUid }, { assignee, expiresInMs });
  }
}

function afterToken(token: string): { since: number; runId: string; key: string } {
  const [since, runId, key] = parsePageToken(token, ["number", "string", "string"]);
  return { since, runId, key };
}

function viewOf(state: RunMemory, key: string, step: StepRecord, wait: WaitRecord): WaitView {
  return {
    waitId: waitIdOf(state.header, key),
    runId: state.header.runId,
    key,
    workflow: state.header.workflow,
    kind: step.kind as WaitKind,
    name: step.name,
    since: step.firstAt,
    due: step.until,
    question: wait.question,
    answers: [...wait.answers],
    reminders: wait.reminders,
    signalName: step.signalName,
    childRunId: step.childRunId,
    cron: wait.cron,
    timeZone: wait.timeZone,
    resolution: wait.resolution,
    closed: wait.closed,
  };
}

/** Refuses a link to a run that was deleted, and whose id another run has by now. */
function mustBeMeant({ runId, key, runUid }: WaitKey, header: RunHeader): void {
  if (runUid !== undefined && runUid !== header.runUid)
    throw notFound("wait", `${key} of run ${runId}`);
}

function viewIn(draft: Draft, key: string): WaitView {
  const step = answers.findWait(draft, key);
  return viewOf(draft.state, key, step, step.wait);
}

/** Runs that are looked at together; of those that were created in one ms, there are few. */
const RUNS_TOGETHER = 50;

function severalQuestions(
  header: RunHeader,
  open: readonly { readonly key: string; readonly question: Question }[],
): PawlError {
  const waits = open.map(({ key, question: { prompt } }) => ({
    waitId: waitIdOf(header, key),
    stepKey: key,
    prompt,
  }));
  const list = waits.map(({ waitId, prompt }) => `${waitId} (${prompt})`).join(", ");
  return new PawlError(
    "INVALID_ARGUMENT",
    `Run "${header.runId}" has ${waits.length} open questions; answer one of them by its id: ${list}.`,
    { metadata: { field: "run_id", open_waits: JSON.stringify(waits) } },
  );
}

/** The decision has to be made again once the form's value is checked, for that may take a while. */
class FormUnchecked extends Error {
  override readonly name = "FormUnchecked";
  readonly schema: string;
  readonly data: Uint8Array;
  readonly value: unknown;

  constructor(schema: string, data: Uint8Array, value: unknown) {
    super("A form's value was not checked yet.");
    this.schema = schema;
    this.data = data;
    this.value = value;
  }
}

/** Decides, and again with the check of the form that the question turned out to be. */
async function withFormsChecked<T>(decide: (check: answers.AnswerCheck) => Promise<T>): Promise<T> {
  /** What was found, by schema: another question may be asked by then. */
  const problems = new Map<string, string>();
  for (;;) {
    try {
      return await decide((question, answer) => checkedAnswer(question, answer, problems));
    } catch (error) {
      if (!(error instanceof FormUnchecked)) throw error;
      const { schema, data, value } = error;
      problems.set(schema, await formProblem(schema, data, value));
    }
  }
}

/** The value of an answer that fits its question. */
function checkedAnswer(
  question: Question,
  answer: Payload,
  problems: ReadonlyMap<string, string>,
): unknown {
  const { data, encoding } = answer;
  if (data === undefined)
    throw invalidAnswer(question, "came by reference; answers are sent inline");
  const parsed = parseAnswer(question, data, encoding);
  checkAnswer(question, parsed, (schema, value) => {
    const problem = problems.get(schema);
    if (problem === undefined) throw new FormUnchecked(schema, data, value);
    return problem;
  });
  return parsed;
}

function alreadyResolved(wait: WaitView): PawlError {
  const { resolution } = wait;
  const how = resolution?.outcome.replace("_", " ") ?? "answered";
  const by = resolution?.actor ? ` by ${resolution.actor}` : "";
  const at = new Date(resolution?.at ?? wait.answers.at(-1)?.at ?? wait.since).toISOString();
  return new PawlError(
    "WAIT_ALREADY_RESOLVED",
    `The wait "${wait.waitId}" was ${how}${by} at ${at}. Nothing was changed.`,
    {
      metadata: {
        wait_id: wait.waitId,
        outcome: resolution?.outcome ?? "",
        resolved_by: resolution?.actor ?? "",
        resolved_at: at,
      },
    },
  );
}

function answeredBefore(wait: WaitView, by: Answer): PawlError {
  const at = new Date(by.at).toISOString();
  const said = by.approved === true ? "approved" : "answered";
  return new PawlError(
    "WAIT_ALREADY_RESOLVED",
    `"${by.actor}" has ${said} already, at ${at}; the question waits for others. Nothing was changed.`,
    {
      metadata: {
        wait_id: wait.waitId,
        outcome: "",
        resolved_by: by.actor,
        resolved_at: at,
      },
    },
  );
}
