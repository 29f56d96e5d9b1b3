/** The use cases on waits in the model's words; a part of api.ts. */
import type { Caller } from "../model/caller.ts";
import type { ClosedWhy, WaitKind, WaitOutcome } from "../model/entry.ts";
import type { Payload } from "../model/payload.ts";
import type { Answer, AnswerVia, Question } from "../model/question.ts";
import type { RunState } from "../model/run.ts";

export interface WaitSpec {
  /** In ms from the server's now. */
  readonly durationMs?: number;
  /** In ms since the epoch. */
  readonly until?: number;
  readonly signalName?: string;
  readonly childRunId?: string;
  readonly question?: Question;
  /** Of a sleep, instead of the two moments. */
  readonly cron?: string;
  /** IANA; absent: UTC. */
  readonly timeZone?: string;
}

/** Where an outside process resolves a wait of the kind callback. */
export interface CallbackAddress {
  readonly token: string;
  readonly url: string;
}

/** A wait as people and programs see it. */
export interface WaitView {
  readonly waitId: string;
  readonly runId: string;
  readonly key: string;
  readonly workflow: string;
  readonly kind: WaitKind;
  readonly name: string;
  readonly since: number;
  /** 0: never. */
  readonly due: number;
  readonly question: Question | undefined;
  readonly answers: readonly Answer[];
  readonly reminders: number;
  readonly signalName: string;
  readonly childRunId: string;
  readonly cron: string;
  readonly timeZone: string;
  readonly resolution: (Answer & { readonly outcome: WaitOutcome }) | undefined;
  /** How it ended without an outcome. */
  readonly closed: ClosedWait | undefined;
}

/** A wait that nobody waits for any more. */
export interface ClosedWait {
  readonly why: ClosedWhy;
  readonly at: number;
  /** Of the code that no longer asks; empty: not known. */
  readonly version: string;
}

export interface FoundWait {
  readonly wait: WaitView;
  readonly runUid: string;
  /** What it was resolved with. */
  readonly payload: Payload | undefined;
  /** The run's state, where it has ended: nobody waits any more. */
  readonly ended: RunState | undefined;
}

export interface ListWaits {
  /** Empty: all. */
  readonly kinds: readonly WaitKind[];
  readonly assignee: string;
  readonly includeUnassigned: boolean;
  readonly workflow: string;
  readonly runId: string;
  /** Those that were lost or withdrawn, instead of the open ones. */
  readonly closed: boolean;
  readonly pageSize: number;
  readonly pageToken: string;
}

/** Which wait of which run. */
export interface WaitKey {
  readonly runId: string;
  readonly key: string;
  /** Of the run that is meant, where another one may have its id by now. */
  readonly runUid?: string;
}

export interface AnswerWait extends WaitKey {
  /** Empty: chosen by the server. */
  readonly resolutionId: string;
  /** Absent: skip. */
  readonly answer?: Payload | undefined;
  readonly actor: string;
  readonly comment: string;
  readonly via: AnswerVia;
}

export interface AnsweredWait {
  readonly wait: WaitView;
  readonly duplicate: boolean;
  readonly resolutionId: string;
}

export interface AnswerLink {
  readonly url: string;
  readonly token: string;
  readonly expiresAt: number;
}

/** What a signed link stands for. */
export interface OpenedLink extends WaitKey {
  readonly org: string;
  readonly runUid: string;
  /** Of an answer link: who answers; may be empty. */
  readonly actor: string;
  /** The same link always resolves under the same id. */
  readonly resolutionId: string;
}

/** Everything that the outside can ask about waits. Rejects with PawlError. */
export interface WaitsApi {
  listWaits(caller: Caller, list: ListWaits): Promise<{ waits: WaitView[]; nextPageToken: string }>;
  getWait(caller: Caller, id: WaitKey): Promise<FoundWait>;
  /** The wait with that id. Rejects with NOT_FOUND. */
  findWait(caller: Caller, waitId: string): Promise<WaitKey>;
  /**
   * The only open question of a run, or the one that was answered under that id. Rejects with
   * INVALID_ARGUMENT where there are several, and NOT_FOUND where there is none.
   */
  findQuestion(caller: Caller, runId: string, resolutionId: string): Promise<WaitKey>;
  answerWait(caller: Caller, answer: AnswerWait): Promise<AnsweredWait>;
  cancelWait(caller: Caller, id: WaitKey, actor: string, comment: string): Promise<WaitView>;
  createWaitLink(
    caller: Caller,
    id: WaitKey,
    assignee: string,
    expiresInMs: number,
  ): Promise<AnswerLink>;
  /** Rejects with PERMISSION_DENIED for a token that this server did not sign, or that has expired. */
  openLink(kind: LinkKind, token: string): Promise<OpenedLink>;
}

export type LinkKind = "callback" | "answer";
