/** On whose behalf something is done. The first argument of every engine and store function. */
export interface Caller {
  /** The organization; leads every key. Comes from the credential only, never from a request. */
  readonly org: string;
  /** The connection of a worker that it came on, where it did. */
  readonly session?: { readonly sessionId: string; readonly workerId: string };
}

/** The only organization until keys exist. */
export const DEFAULT_CALLER: Caller = Object.freeze({ org: "default" });
