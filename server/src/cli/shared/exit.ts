/** The exit codes of `pawl`; docs/cli.md lists them. */
export const EXIT = Object.freeze({
  OK: 0,
  /** The run failed, was cancelled, or is paused and needs attention. */
  RUN_FAILED: 1,
  /** The command line is wrong. */
  USAGE: 2,
  /** There is no Pawl server at the URL. */
  NOT_REACHABLE: 3,
  NOT_FOUND: 4,
  /** The server refused: invalid input, illegal transition, conflict. */
  REFUSED: 5,
  /** The server cannot start. */
  CANNOT_START: 6,
  /** The server cannot answer at the moment; the same command may work later. */
  TRY_AGAIN: 7,
  /** A bug in Pawl. */
  INTERNAL: 8,
  /** The credential is missing or wrong, or does not allow this. */
  DENIED: 9,
  INTERRUPTED: 130,
});

export interface CliErrorOptions {
  readonly reason?: string;
  readonly metadata?: Readonly<Record<string, string>>;
  /** What to do next; printed below the message. */
  readonly hint?: string;
  readonly cause?: unknown;
}

/** Why a command cannot do what it was asked; printed without a stack. */
export class CliError extends Error {
  override readonly name = "CliError";
  readonly exitCode: number;
  readonly reason: string;
  readonly metadata: Readonly<Record<string, string>>;
  readonly hint: string;

  constructor(exitCode: number, message: string, options: CliErrorOptions = {}) {
    super(message, options.cause === undefined ? undefined : { cause: options.cause });
    this.exitCode = exitCode;
    this.reason = options.reason ?? "";
    this.metadata = options.metadata ?? {};
    this.hint = options.hint ?? "";
  }
}

export function usageError(message: string, hint = ""): CliError {
  return new CliError(EXIT.USAGE, message, { reason: "USAGE", hint });
}
