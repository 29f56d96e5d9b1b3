import type { Logger } from "../lib/logger.ts";
import type { RunTrace } from "../telemetry/trace.ts";
import type { RunLink } from "./link.ts";
import type { Memo } from "./memo.ts";

/** What is known of a run when its execution starts. */
export interface RunFacts {
  readonly runId: string;
  /** Names this life of the run id; empty where there is no platform. */
  readonly runUid: string;
  readonly fence: number;
  /** Which execution under this lease it is, from 1. */
  readonly execution: number;
  /** Where the journal ended when the first of these started. */
  readonly ownAfterSeq: number;
  /** How often the run has been leased out, from 1. */
  readonly attempt: number;
  readonly workflow: string;
  readonly version: string;
  /** Those of its start. */
  readonly tags: Readonly<Record<string, string>>;
  readonly sessionId: string;
  readonly userId: string;
  readonly traceparent: string;
  /** Undefined without tracing. */
  readonly trace?: RunTrace | undefined;
  readonly parent: { readonly runId: string; readonly stepKey: string } | undefined;
  readonly cancelling: boolean;
  /** How far the server's clock is ahead of this process's, in ms, when the run was handed out. */
  readonly clockAheadMs: number;
  /** The run has lost a worker: ask before every step, until the end of one is recorded. */
  readonly careful: boolean;
  /** Ask before every step, and do not run what the answer does not allow. */
  readonly confirmStarts: boolean;
}

/** What an execution is made of. */
export interface RunParts {
  readonly facts: RunFacts;
  readonly link: RunLink;
  readonly memo: Memo;
  readonly logger: Logger;
  /** Executes the run anew after each record, where that is wanted. */
  readonly again: ((before: RunFacts) => void) | undefined;
}
