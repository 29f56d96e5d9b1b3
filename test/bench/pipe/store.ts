/** What the pipe stores: the least that keeps the promises of the write path. */

/** One completed step on its way into the journal. */
export interface PipeStep {
  runId: string;
  fence: number;
  /** The entry's place in the run's journal, from 1, by the server's counter. */
  seq: number;
  attempt: number;
  type: string;
  stepKey: string;
  encoding: string;
  payload: Uint8Array;
}

export interface PipeStore {
  /** Inserts runs with fence 1 and an empty journal. */
  createRuns(runIds: readonly string[]): Promise<void>;
  /**
   * One transaction for all steps: compares each run's fence and counter, advances the counter
   * and inserts the entry. No run may appear twice.
   *
   * @returns for each step whether it was written; durable by then.
   */
  commit(steps: readonly PipeStep[]): boolean[] | Promise<boolean[]>;
  close(): Promise<void>;
}

/** Opens the store that the URL names: `postgres://…`, or the path of a new SQLite file. */
export async function openPipeStore(url: string): Promise<PipeStore> {
  if (url.startsWith("postgres://")) {
    const { openPostgres } = await import("./postgres.ts");
    return openPostgres(url);
  }
  const { openSqlite } = await import("./sqlite.ts");
  return openSqlite(url);
}
