/** The shared suite on PostgreSQL. */
import pg from "pg";
import { openStore } from "../../server/src/store/open.ts";
import { createMigratedDatabase } from "../harness/database.ts";
import type { Opened } from "./suite.ts";
import { storeSuite } from "./suite.ts";

async function openDatabase(): Promise<Opened> {
  const url = await createMigratedDatabase("store");
  const opened: Opened = {
    store: await openStore(url),
    async reopen() {
      await opened.store.close();
      opened.store = await openStore(url);
      return opened.store;
    },
    async meddle(sql) {
      const client = new pg.Client({ connectionString: url });
      await client.connect();
      await client.query("SET search_path = pawl");
      await client.query(sql);
      await client.end();
    },
    async close() {
      await opened.store.close();
    },
  };
  return opened;
}

storeSuite("PostgreSQL", openDatabase);
