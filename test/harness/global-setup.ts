/**
 * Runs once around all system tests: lends them one PostgreSQL cluster, which is started when the
 * first test asks for a database and stopped after the last. Test files run in processes of their
 * own, so they ask over a loopback HTTP port (`database.ts` does that for them).
 */
import { once } from "node:events";
import { createServer, type IncomingMessage } from "node:http";
import type { TestProject } from "vitest/node";
import { openStore } from "../../server/src/store/open.ts";
import { type Postgres, startPostgres } from "./postgres.ts";

declare module "vitest" {
  export interface ProvidedContext {
    /** Where to ask for databases; see test/harness/database.ts. */
    postgresControlUrl: string;
  }
}

/** A database with Pawl's tables, whose name this resolves with. */
async function createTemplate(postgres: Postgres): Promise<string> {
  const name = "migrated";
  const store = await openStore(await postgres.createDatabase(name));
  await store.close();
  return name;
}

export default async function setup(project: TestProject): Promise<() => Promise<void>> {
  let cluster: Promise<Postgres> | undefined;
  let template: Promise<string> | undefined;
  let count = 0;

  /** Returns the URL of a new database, for a request to `/empty/LABEL` or `/migrated/LABEL`. */
  async function createDatabase(request: IncomingMessage): Promise<string> {
    cluster ??= startPostgres({ fsync: false });
    const postgres = await cluster;
    const [, kind, label = ""] = (request.url ?? "").split("/").map(decodeURIComponent);
    count += 1;
    const prefix = label
      .replaceAll(/[^a-z0-9]+/gi, "_")
      .slice(0, 40)
      .toLowerCase();
    const name = `${prefix}_${count}`;
    if (kind === "empty") return await postgres.createDatabase(name);
    template ??= createTemplate(postgres);
    return await postgres.createDatabase(name, await template);
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
