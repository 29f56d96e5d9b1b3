/**
 * Some servers' engines in one process, on one database: `contender.ts URL ENGINES`. Each has its own
 * loops, writer and memory; they fire timers until standard input ends.
 */
import { createEngine } from "../../server/src/engine/engine.ts";
import { uniqueId } from "../../server/src/lib/ids.ts";
import { openStore } from "../../server/src/store/open.ts";

const [url = "", engines = "1"] = process.argv.slice(2);
const warn = (message: string, fields?: object): void => {
  console.error(message, JSON.stringify(fields));
};
const log = { info: () => undefined, warn, error: warn };
const store = await openStore(url, { onMessage: (message) => console.error(message) });
// Engines of one process share its connections, as they would not; all else is each one's own.
const all = Array.from({ length: Number(engines) }, () =>
  createEngine({ store, replicaId: uniqueId(), log }),
);
console.log("ready");
process.stdin.resume().on("end", async () => {
  await Promise.all(all.map((engine) => engine.close()));
  await store.close();
  process.exit();
});
