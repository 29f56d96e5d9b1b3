/** The shared suite on SQLite: a file with the store's thread, and memory on the main thread. */
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { DatabaseSync } from "node:sqlite";
import { openStore } from "../../server/src/store/open.ts";
import type { Opened } from "./suite.ts";
import { storeSuite } from "./suite.ts";

async function openFile(thread: boolean): Promise<Opened> {
  const folder = await mkdtemp(join(tmpdir(), "pawl-store-"));
  const path = join(folder, "pawl.db");
  const opened: Opened = {
    store: await openStore(path, { thread }),
    async reopen() {
      await opened.store.close();
      opened.store = await openStore(path, { thread });
      return opened.store;
    },
    async meddle(sql) {
      await opened.store.close();
      const db = new DatabaseSync(path);
      db.exec(sql);
      db.close();
      opened.store = await openStore(path, { thread });
    },
    async close() {
      await opened.store.close();
      await rm(folder, { recursive: true });
    },
  };
  return opened;
}

storeSuite("SQLite, in a thread", () => openFile(true));
storeSuite("SQLite, on the main thread", () => openFile(false));
