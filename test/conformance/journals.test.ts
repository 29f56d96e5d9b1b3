/**
 * Goal: nothing that was ever recorded stops replaying, and every language continues with what another
 * one has started.
 * Method: the journals of each SDK version, replayed by today's of each language; none may execute a step.
 */
import { mkdtemp, readFile, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { describe, expect, test } from "vitest";
import { pawl } from "../cli/cli.ts";
import { journalsQueue, keptFiles, markCrashes } from "./journals.ts";
import { foundSdks } from "./sdks.ts";

interface Replays {
  replays: { runId: string; outcome: string; detail: string; next: string[] }[];
}

const found = foundSdks();
const kept = await keptFiles();
const missing = new Set(kept.map(({ sdk }) => sdk));
for (const { name } of found) missing.delete(name);
if (missing.size > 0) {
  const required = process.env.PAWL_REQUIRE?.split(",").filter((name) => missing.has(name)) ?? [];
  test.skipIf(required.length === 0)(
    `left out, not being ready: ${[...missing].join(", ")}`,
    () => {
      expect(required).toEqual([]);
    },
  );
}

describe.each(kept)("$name", ({ file }) => {
  test.concurrent.each(found)(
    "replayed by $name: every journal ends as it was recorded, and no step is executed",
    async (sdk) => {
      const marks = await mkdtemp(join(tmpdir(), "pawl-journals-"));
      try {
        await writeFile(join(marks, "effects"), "");
        const count = await markCrashes(file, marks);
        const worker = sdk.command.at(-1) ?? "";
        const env = {
          PAWL_QUEUE: journalsQueue,
          PAWL_WORKER_ID: "journals",
          CONFORMANCE_DIR: marks,
          // A Python worker runs in the environment of its SDK.
          VIRTUAL_ENV: dirname(dirname(sdk.command[0] ?? "")),
        };
        const result = await pawl(
          ["replay", file, "--worker", worker, "--timeout", "50s", "--json"],
          { env },
        );
        const { replays } = JSON.parse(result.out) as Replays;
        expect(replays.filter(({ outcome }) => outcome !== "same")).toEqual([]);
        expect(replays).toHaveLength(count);
        expect(await readFile(join(marks, "effects"), "utf8")).toBe("");
      } finally {
        await rm(marks, { recursive: true, force: true });
      }
    },
  );
});
