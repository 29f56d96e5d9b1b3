/** Where lines of the log go. A reader must never hold up the server, nor end it. */
import { setTimeout as sleep } from "node:timers/promises";

export interface LogOutput {
  /** A whole line with its line break. */
  write(line: string): void;
  /** As much waits for the reader as may wait: a line that is written now is one too many. */
  full(): boolean;
  /** Until what was written is out, or that many ms. */
  flush(withinMs: number): Promise<void>;
}

/** Bytes that may wait for a reader that has stopped reading. */
const WAITING_MAX = 1024 * 1024;

type Stream = Pick<NodeJS.WritableStream, "write" | "on"> & { readonly writableLength: number };

let shared: LogOutput | undefined;

/** The one of this process. */
export function standardError(): LogOutput {
  shared ??= outputTo(process.stderr);
  return shared;
}

/**
 * Node writes to a file or terminal at once, and to a pipe as much as fits, so that
 * a line is out before the process can crash, unless its reader is behind.
 */
export function outputTo(stream: Stream): LogOutput {
  let gone = false;
  // Nobody reads any more (EPIPE), or the disk is full: neither is a reason to stop serving.
  stream.on("error", (error: NodeJS.ErrnoException) => {
    gone ||= error.code === "EPIPE";
  });
  return {
    write(line) {
      if (!gone) stream.write(line);
    },
    full: () => stream.writableLength > WAITING_MAX,
    async flush(withinMs) {
      if (gone || stream.writableLength === 0) return;
      const out = new Promise<void>((resolve) => {
        stream.write("", () => resolve());
      });
      const late = new AbortController();
      const waited = sleep(withinMs, undefined, { signal: late.signal }).catch(() => undefined);
      await Promise.race([out, waited]);
      late.abort();
    },
  };
}
