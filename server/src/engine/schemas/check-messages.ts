/** What crosses between the server's thread and those that check values. */
import type { SchemaProblem } from "./compile.ts";

export interface CheckRequest {
  /** JSON Schema as JSON text. */
  readonly schema: string;
  /** JSON; absent: only the schema is tried. */
  readonly data?: Uint8Array;
  /** Whether all problems are told, or the first one. */
  readonly all: boolean;
}

export type CheckReply =
  /** The schema is compiled and the value read: the check itself starts. */
  | { readonly kind: "begun" }
  | { readonly kind: "checked"; readonly problems: readonly SchemaProblem[] }
  | { readonly kind: "unusable"; readonly message: string };
