import { PawlError, type StoreUse, storeUnavailable } from "../model/errors.ts";
import type { Store } from "../store/store.ts";
import { StoreError } from "../store/store-error.ts";

/** What a store rejected with, in the words of the error table. */
export function toPawlError(error: unknown, use: StoreUse): unknown {
  if (!(error instanceof StoreError)) return error;
  const { corrupted, fault, message } = error;
  if (corrupted !== undefined) {
    const { runId, seq } = corrupted;
    const metadata = { run_id: runId, seq: String(seq) };
    return new PawlError("DATA_CORRUPTED", message, { metadata, cause: error });
  }
  switch (fault) {
    case "away":
      return storeUnavailable(error, use);
    case "data":
      return new PawlError(
        "INVALID_ARGUMENT",
        `The database refuses what was sent: ${message}. Nothing was changed; send something else.`,
        { metadata: { field: "request" }, cause: error },
      );
    case "damaged":
      return new PawlError(
        "DATA_CORRUPTED",
        `${message}. Nothing was acknowledged; stop the server and restore the database from a backup.`,
        { cause: error },
      );
  }
}

/** Calls that change what is on record; all others read. */
const WRITES: ReadonlySet<string | symbol> = new Set<keyof Store>([
  "commit",
  "secret",
  "admit",
  "renewSession",
  "renewLeases",
  "putWorker",
  "putPayload",
  "sweepPayloads",
  "putDeltas",
  "deleteDeltas",
  "takeNudges",
  "putKey",
  "revokeKey",
  "touchKeys",
]);

/** The store as the use cases read it: it rejects with `PawlError`. The writer has it bare, for it tries again. */
export function withPawlErrors(
  store: Store,
  onError: (error: StoreError) => void = () => undefined,
): Store {
  return new Proxy(store, {
    get(target, name) {
      const member: unknown = Reflect.get(target, name);
      if (typeof member !== "function") return member;
      const use = WRITES.has(name) ? "write" : "read";
      const rethrow = (error: unknown): never => {
        if (error instanceof StoreError) onError(error);
        throw toPawlError(error, use);
      };
      return (...args: unknown[]) => {
        const answer: unknown = Reflect.apply(member, target, args);
        return answer instanceof Promise ? answer.catch(rethrow) : answer;
      };
    },
  });
}
