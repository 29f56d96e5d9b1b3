/** Waits in the model's words. */
import type { ClosedWhy, WaitKind, WaitOutcome } from "../../model/entry.ts";
import type { Payload } from "../../model/payload.ts";
import type { Answer, AnswerVia, Question } from "../../model/question.ts";
import type { RunStatus } from "../../model/run.ts";

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
  /** The status of a run that has ended: nobody waits any more. */
  readonly ended: RunStatus | undefined;
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

/** Who cancels a wait, and why. */
export interface CancelWait {
  readonly actor: string;
  readonly comment: string;
}

export interface AnsweredWait {
  readonly wait: WaitView;
  readonly duplicate: boolean;
  readonly resolutionId: string;
}

/** Whose link, and for how long it works. */
export interface LinkOptions {
  readonly assignee: string;
  readonly expiresInMs: number;
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

export type LinkKind = "callback" | "answer";
