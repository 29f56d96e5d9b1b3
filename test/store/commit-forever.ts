/**
 * A process that commits entry after entry to run `r1` and prints each seq once it is
 * acknowledged, until it is killed. `node commit-forever.ts URL [--retry]`; with `--retry` a failed
 * commit is printed as `failed` and tried again.
 */
import { setTimeout as sleep } from "node:timers/promises";
import { openStore } from "../../server/src/store/open.ts";
import { bytes, change, commit, getRun, insertion, makeEntry, makeHeader } from "./make.ts";

const [url = "", retry] = process.argv.slice(2);
const store = await openStore(url);
await commit(store, insertion(makeHeader("r1")));
for (let seq = 1; ; ) {
  const entry = makeEntry(seq + 1, { payload: bytes("x".repeat(2_000)) });
  try {
    const { confirmed } = await commit(store, change("r1", 0, seq, { entries: [entry] }));
    if (confirmed[0] !== true) throw new Error(`Entry ${seq + 1} was not confirmed.`);
    seq += 1;
    console.log(seq);
  } catch (error) {
    if (retry !== "--retry") throw error;
    console.log("failed");
    await sleep(20);
    seq = (await getRun(store, "r1"))?.seq ?? seq;
  }
}
