export type StartupCode =
  | "BAD_CONFIG"
  | "BAD_URL"
  | "NO_OPERATOR_KEY"
  | "PLAINTEXT_REFUSED"
  | "PORT_TAKEN"
  | "IN_USE"
  | "NOT_A_DATABASE"
  | "NOT_WRITABLE"
  | "SCHEMA_NEWER"
  | "SCHEMA_OLDER"
  | "SCHEMA_CHANGED";

/**
 * Why the server cannot start, in words for the person who started it: what was found and what to
 * do about it. It is printed without a stack.
 */
export class StartupError extends Error {
  override readonly name = "StartupError";
  readonly code: StartupCode;

  constructor(code: StartupCode, message: string, options?: { cause?: unknown }) {
    super(message, options);
    this.code = code;
  }
}
