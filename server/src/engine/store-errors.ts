import { PawlError, storeUnavailable } from "../model/errors.ts";
import { type Store, StoreError } from "../store/store.ts";

/** What a store rejected with, in the words of the error table. */
export function toPawlError(error: unknown): unknown {
  if (!(error instanceof StoreError)) return error;
  if (error.corrupted === undefined) return storeUnavailable(error);
  const { runId, seq } = error.corrupted;
  return new PawlError("DATA_CORRUPTED", error.message, {
    metadata: { run_id: runId, seq: String(seq) },
    cause: error,
  });
}

/** The store as the use cases read it: it rejects with `PawlError`. The writer has it bare, for it tries again. */
export function withPawlErrors(store: Store, onError: () => void = () => undefined): Store {
  const rethrow = (error: unknown): never => {
    if (error instanceof StoreError) onError();
    throw toPawlError(error);
  };
  return new Proxy(store, {
    get(target, name) {
      const member: unknown = Reflect.get(target, name);
      if (typeof member !== "function") return member;
      return (...args: unknown[]) => {
        const answer: unknown = Reflect.apply(member, target, args);
        return answer instanceof Promise ? answer.catch(rethrow) : answer;
      };
    },
  });
}
