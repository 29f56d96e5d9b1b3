/**
 * Runs once around all system tests: lends them one PostgreSQL cluster, which is started when the
 * first test asks for a database and stopped after the last. Test files run in processes of their
 * own, so they ask over a loopback HTTP port (`database.ts` does that for them).
 */
import { once } from "node:events";
import { createServer, type IncomingMessage } from "node:http";
import type { TestProject } from "vitest/node";
import { type Postgres, startPostgres } from "./postgres.ts";

declare module "vitest" {
  export interface ProvidedContext {
    /** Where to ask for databases; see test/harness/database.ts. */
    postgresControlUrl: string;
  }
}

export default async function setup(project: TestProject): Promise<() => Promise<void>> {
  let cluster: Promise<Postgres> | undefined;
  let count = 0;

  /** Returns the URL of a new database whose name starts with the label in the request's path. */
  async function createDatabase(request: IncomingMessage): Promise<string> {
    cluster ??= startPostgres({ fsync: false });
    const label = decodeURIComponent((request.url ?? "/").slice(1)).replaceAll(/[^a-z0-9]+/gi, "_");
    count += 1;
    const name = `${label.slice(0, 40).toLowerCase()}_${count}`;
    return await (await cluster).createDatabase(name);
  }

  const control = createServer((request, response) => {
    createDatabase(request).then(
      (url) => response.end(url),
      (error: unknown) => response.writeHead(500).end(String(error)),
    );
  });
  control.listen(0, "127.0.0.1");
  await once(control, "listening");
  const address = control.address();
  if (address === null || typeof address === "string") throw new Error("No port was assigned.");
  project.provide("postgresControlUrl", `http://127.0.0.1:${address.port}`);

  return async () => {
    control.close();
    control.closeAllConnections();
    await (await cluster)?.stop();
  };
}
