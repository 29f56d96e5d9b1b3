/**
 * Goal: whatever comes over the wire has an answer other than INTERNAL, and leaves the server well.
 * Method: some seconds of wire.ts under a new seed, which is printed; `pnpm fuzz:wire` continues longer.
 */
import { expect, test } from "vitest";
import { fuzzWire } from "./wire.ts";

const seed = Number(process.env.PAWL_SEED ?? Math.floor(Math.random() * 2 ** 31));

test(`odd requests of all kinds; seed ${seed}`, async () => {
  const { findings, requests } = await fuzzWire(seed, 2);
  expect(findings).toEqual([]);
  expect(requests).toBeGreaterThan(0);
});
