import type { Clock } from "../../lib/clock.ts";
import { BOUNDS } from "../../model/bounds.ts";
import { recordLiveStart } from "../decide/step-rules.ts";
import type { Connections } from "../workers/connections.ts";
import type { Writer } from "../writer.ts";
import type { BackgroundTask } from "./background-task.ts";

export interface WriteStartsParts {
  readonly writer: Writer;
  readonly clock: Clock;
  readonly connections: Connections;
}

/** Steps that have run for a while get their start written, so that a crash is seen and counted. */
export function writeStarts({ writer, clock, connections }: WriteStartsParts): BackgroundTask {
  return {
    name: "step-start",
    periodMs: 50,
    async run() {
      const before = clock.now() - BOUNDS.startWrittenAfterMs;
      const writes: Promise<void>[] = [];
      for (const { org, live } of connections.all()) {
        for (const [key, { at, command }] of live) {
          // In order of their start: the first young one ends it.
          if (at > before) break;
          live.delete(key);
          writes.push(
            writer.submit({
              org,
              runId: command.runId,
              bytes: 300,
              decide: (draft) => recordLiveStart(draft, command),
            }),
          );
        }
      }
      await Promise.all(writes);
      return undefined;
    },
  };
}
