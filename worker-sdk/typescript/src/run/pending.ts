/**
 * What user code has asked for and not yet been given, as its run sees it: the run lets it begin, tells
 * it what has happened, and ends it. `Operation` is what steps and waits have in common.
 */
import type { MemoRecord } from "./memo.ts";
import type { Scope } from "./scope.ts";

export interface Pending {
  readonly key: string;
  readonly scope: Scope;
  readonly promise: Promise<unknown>;
  /** A step, and not a wait of the server's. */
  readonly isStep: boolean;
  /** Code of the user's is running for it. */
  readonly isRunning: boolean;
  /** Its body may be executed again after the run has left this worker. */
  readonly isRepeatable: boolean;
  readonly isAborted: boolean;
  /** Starts the work; the run calls it once it may start. */
  begin(): void;
  /** A wait of the server's that it registered has been resolved. */
  resolved(record: MemoRecord): void;
  /** The platform may know more about a wait by now. */
  askAgain(): void;
  /**
   * Its branch or run ends: stop what can be stopped. `patienceMs`: the run does, and code that is
   * running has that long to stop by itself.
   */
  abort(reason: string, patienceMs?: number): void;
  /** Tells user code that the branch or run has ended. */
  rejectCancelled(reason: string): void;
  /** Nobody waits for it any more: whatever it is at, it has ended. */
  abandon(): void;
  /** The scope around it is gone: whatever becomes of it, nobody is told. */
  detach(): void;
  /** Ends its timers: nobody will hear of it any more. */
  clear(): void;
}
