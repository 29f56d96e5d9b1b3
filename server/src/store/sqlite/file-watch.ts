import { statSync } from "node:fs";
import { monotonicMs } from "../../lib/clock.ts";
import { StoreError } from "../store-error.ts";

const CHECK_MS = 1_000;

interface Watched {
  readonly path: string;
  readonly identity: string;
}

/**
 * Notices that the files of an open database were deleted or replaced: SQLite continues writing to what
 * nobody can find any more. They are looked at once a second at most, and after what was done, so that
 * nothing is acknowledged later than a second after they were gone.
 */
export class FileWatch {
  readonly #file: string;
  readonly #watched: readonly Watched[];
  #checkedAt = monotonicMs();
  #isLost = false;

  /** Must be made right after the database was opened and written to. */
  constructor(file: string) {
    this.#file = file;
    const files = file === ":memory:" ? [] : [file, `${file}-wal`];
    this.#watched = files.flatMap((path) => {
      const identity = identityOf(path);
      return identity === undefined ? [] : [{ path, identity }];
    });
  }

  /** @throws StoreError */
  check(): void {
    const now = monotonicMs();
    if (!this.#isLost && now - this.#checkedAt < CHECK_MS) return;
    this.#checkedAt = now;
    this.#isLost = this.#watched.some(({ path, identity }) => identityOf(path) !== identity);
    if (!this.#isLost) return;
    throw new StoreError(
      `SQLite: ${this.#file} was deleted or replaced while this server had it open. Put it back, or ` +
        "stop the server and restore the database from a backup.",
    );
  }
}

function identityOf(path: string): string | undefined {
  const stats = statSync(path, { bigint: true, throwIfNoEntry: false });
  return stats === undefined ? undefined : `${stats.dev}:${stats.ino}`;
}
