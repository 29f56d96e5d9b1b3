/**
 * Goal: the same as server/src/engine/random.test.ts where two servers share a database: the commands of
 * a run come to both, and each holds a state of it that the other may have changed.
 * Method: the same game (game/game.ts), over PostgreSQL. PAWL_SEED repeats the commands, though not
 * their timing.
 */
import { expect, test } from "vitest";
import { openStore } from "../../server/src/store/open.ts";
import { createDatabase } from "../harness/database.ts";
import { scaled } from "../harness/scale.ts";
import { openEngine } from "./engine-fixture.ts";
import { KINDS } from "./game/commands.ts";
import { play } from "./game/game.ts";

const COMMANDS = scaled(3_000, 750);

const seed = Number(process.env.PAWL_SEED ?? Math.floor(Math.random() * 2 ** 31));

test(`random commands at two servers; seed ${seed}`, async () => {
  const url = await createDatabase("random");
  const stores = [await openStore(url, { migrate: true }), await openStore(url)];
  const [one, two] = stores;
  if (one === undefined || two === undefined) throw new Error("There are two stores.");
  {
    await using first = await openEngine(one, "first");
    await using second = await openEngine(two, "second");
    const accepted = await play([first, second], seed, COMMANDS);
    expect(accepted.size).toBeGreaterThan(KINDS.length - 4);
  }
  for (const store of stores) await store.close();
});
