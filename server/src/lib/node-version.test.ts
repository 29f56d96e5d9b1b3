/** Goal: a Node that is too old is refused, by the version that the package declares. */
import { expect, test } from "vitest";
import manifest from "../../package.json" with { type: "json" };
import { nodeProblem } from "./node-version.ts";

test("the version that package.json declares is the oldest one", () => {
  const declared = manifest.engines.node.replace(">=", "");
  expect(nodeProblem(`${declared}.0`)).toBeUndefined();
  expect(nodeProblem("24.6.0")).toBe(`Pawl needs Node ${declared} or newer; this is 24.6.0.`);
});

test.for(["25.0.0", "100.1.0"])("%s is new enough", (version) => {
  expect(nodeProblem(version)).toBeUndefined();
});

test.for(["20.20.2", "22.99.0"])("%s is too old", (version) => {
  expect(nodeProblem(version)).toContain(version);
});
