import type { StartupCode } from "../../lib/startup-error.ts";
import { StartupError } from "../../lib/startup-error.ts";
import type { Operation } from "../store.ts";
import type { StoreFault } from "../store-error.ts";
import { StoreError } from "../store-error.ts";
import type { SqliteSettings } from "./link.ts";
import type { Args } from "./operations.ts";
import type { PackedBatch } from "./packed.ts";

/** What the thread is started with. */
export interface ThreadData {
  readonly settings: SqliteSettings;
  /** One shared number: raised, and notified, after each request. */
  readonly bell: Int32Array<SharedArrayBuffer>;
}

/** What crosses between the server's thread and the store's, both ways by structured clone. */
export type Request =
  | { readonly id: number; readonly method: Operation; readonly args: Args[Operation] }
  | { readonly id: number; readonly method: "commit"; readonly batch: PackedBatch }
  | { readonly id: number; readonly method: "close" };

export type Reply =
  | { readonly kind: "ready" }
  | {
      readonly kind: "refused";
      readonly code: StartupCode;
      readonly message: string;
      readonly cause: unknown;
    }
  | { readonly kind: "done"; readonly id: number; readonly value: unknown }
  | { readonly kind: "failed"; readonly id: number; readonly error: FailedCall };

/** A StoreError without its class, which a structured clone would lose. */
export interface FailedCall {
  readonly message: string;
  readonly corrupted: StoreError["corrupted"];
  readonly fault: StoreFault;
  readonly cause: unknown;
}

export function packError(error: StoreError): FailedCall {
  const { message, corrupted, fault, cause } = error;
  return { message, corrupted, fault, cause };
}

export function unpackError({ message, corrupted, fault, cause }: FailedCall): StoreError {
  return new StoreError(message, { cause, fault }, corrupted);
}

export function packRefusal(error: unknown): Reply {
  if (error instanceof StartupError) {
    return { kind: "refused", code: error.code, message: error.message, cause: error.cause };
  }
  const message = error instanceof Error ? error.message : String(error);
  return { kind: "refused", code: "NOT_WRITABLE", message, cause: error };
}
