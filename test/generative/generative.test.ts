/**
 * Goal: whatever a program is made of, its run comes to one of the outcomes that it may have.
 * Method: one round of a few programs of one seed, in every SDK that is ready, and
 * the kept ones; `pnpm fuzz` continues for longer.
 */
import { readdir, readFile } from "node:fs/promises";
import { join } from "node:path";
import { afterAll, beforeAll, expect, test } from "vitest";
import { findSdk, foundSdks, type Sdk } from "../conformance/sdks.ts";
import { type Kept, keptFolder } from "./kept.ts";
import { Processes } from "./processes.ts";
import { planRound, playRound } from "./round.ts";

/** The same programs each time; new ones are `pnpm fuzz`'s. */
const seed = Number(process.env.PAWL_SEED ?? 868448218);
const files = (await readdir(keptFolder).catch(() => [])).filter((name) => name.endsWith(".json"));
let processes: Processes;

beforeAll(async () => {
  processes = await Processes.start();
});
afterAll(() => processes.stop());

test(`programs of all kinds, with nothing going wrong; seed ${seed}`, async () => {
  const sdks = foundSdks();
  const plan = { ...planRound(seed, sdks, 3), faults: [] };
  expect(await playRound(plan, sdks, processes, { replay: true })).toEqual([]);
});

test.each(files)("%s", async (file) => {
  const kept = JSON.parse(await readFile(join(keptFolder, file), "utf8")) as Kept;
  const sdks: Sdk[] = [findSdk(kept.sdk)].filter((sdk) => typeof sdk !== "string");
  const plan = { specs: [kept.spec], modes: [kept.mode], faults: kept.faults };
  expect(await playRound(plan, sdks, processes, { replay: true })).toEqual([]);
});
