/**
 * What is to be done about a failed call. `away`: the same call may work later. `data`: the database
 * refused what it was given, so that the same call never works, and others do. `damaged`: what the
 * database keeps cannot be read, which only a backup mends.
 */
export type StoreFault = "away" | "data" | "damaged";

/**
 * The database did not do what was asked; the engine retries or returns STORE_UNAVAILABLE, or
 * DATA_CORRUPTED where `corrupted` says which entry failed its checksum.
 */
export class StoreError extends Error {
  override readonly name = "StoreError";
  readonly corrupted: { readonly runId: string; readonly seq: number } | undefined;
  readonly fault: StoreFault;

  constructor(
    message: string,
    options: { cause?: unknown; fault?: StoreFault } = {},
    corrupted?: { readonly runId: string; readonly seq: number },
  ) {
    super(message, options.cause === undefined ? undefined : { cause: options.cause });
    this.corrupted = corrupted;
    this.fault = options.fault ?? "away";
  }
}
