/** Recorded runs, replayed by each SDK: it has to come to the same end, and to execute nothing. */
import { create } from "@bufbuild/protobuf";
import { type JournalEntry, RunSchema } from "@pawl/proto";
import { SILENT_LOG } from "../../server/src/lib/log.ts";
import { replay } from "../../server/src/replay/replay.ts";
import { Harness } from "../conformance/harness.ts";
import type { Sdk } from "../conformance/sdks.ts";

const QUEUE = "replays";
const TIMEOUT_MS = 40_000;

export interface Replayed {
  readonly runId: string;
  readonly sdk: string;
  readonly problem: string;
}

/** What did not come to the same again. */
export async function replayAll(
  runs: readonly { readonly runId: string; readonly journal: readonly JournalEntry[] }[],
  sdks: readonly Sdk[],
  folder: string,
): Promise<Replayed[]> {
  if (runs.length === 0) return [];
  const found = await Promise.all(sdks.map((sdk) => replayIn(sdk, runs, folder)));
  return found.flat();
}

async function replayIn(
  sdk: Sdk,
  runs: readonly { readonly runId: string; readonly journal: readonly JournalEntry[] }[],
  folder: string,
): Promise<Replayed[]> {
  const started = create(RunSchema, { workflow: "conformance", queue: QUEUE, attempt: 1 });
  const verdicts = await replay({
    runs: runs.map(({ runId, journal }) => ({ run: { ...started, runId }, entries: journal })),
    startWorker: (url) => {
      const settings = { sdk, url, queue: QUEUE, workerId: QUEUE, folder, deploy: 0 };
      const harness = new Harness({ ...settings, mode: "stream" });
      const ended = harness.ended.then(() => {
        throw new Error(`The worker of ${sdk.name} ended in a replay:\n${harness.log}`);
      });
      return { ended, stop: () => harness.kill() };
    },
    timeoutMs: TIMEOUT_MS,
    log: SILENT_LOG,
  });
  return verdicts
    .filter(({ outcome }) => outcome !== "same")
    .map(({ runId, outcome, detail, next }) => ({
      runId,
      sdk: sdk.name,
      problem: `${outcome} ${detail} ${next.join(", ")}`,
    }));
}
