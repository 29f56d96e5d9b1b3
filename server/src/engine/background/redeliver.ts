import type { Connections } from "../workers/connections.ts";
import { type ReleaseParts, release } from "../workers/release-lease.ts";
import type { BackgroundTask } from "./background-task.ts";

export interface RedeliverParts extends ReleaseParts {
  readonly connections: Connections;
}

/** A dispatch that no slot took up in time may be given to another. */
export function redeliver(parts: RedeliverParts): BackgroundTask {
  return {
    name: "delivery",
    periodMs: 500,
    async run() {
      for (const { connection, run } of parts.connections.unacknowledged()) {
        connection.stalled = true;
        const { connectionId } = connection;
        await release(parts, { ...run, connectionId }, "unacknowledged");
      }
      return undefined;
    },
  };
}
