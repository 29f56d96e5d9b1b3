/**
 * Recorded journals, kept: what an SDK wrote in one version, every later version replays.
 *
 *   PAWL_RECORD_JOURNALS=1 npx -y pnpm@12 test test/conformance     writes those of today's versions
 */
import { mkdir, readdir, readFile, writeFile } from "node:fs/promises";
import { join } from "node:path";
import type { Client } from "@grpc/grpc-js";
import { WorkerService } from "@pawl/proto";
import { pawl } from "../cli/cli.ts";
import { rpc } from "../harness/protocol.ts";
import type { ConformanceCase } from "./schema.ts";

export const journalsFolder = join(import.meta.dirname, "journals");
/** All kept runs are in one queue, for one worker to replay them. */
export const journalsQueue = "journals";

export const isRecording = process.env.PAWL_RECORD_JOURNALS === "1";

/** Journals that say all there is: one program, nothing that is made outside of steps, not large. */
export function isKept({ name, programs, needs, expect, actions }: ConformanceCase): boolean {
  const text = JSON.stringify(programs);
  return (
    programs.length === 1 &&
    needs.length === 0 &&
    text.length < 10_000 &&
    !text.includes('"effect"') &&
    !actions.some((action) => "killServer" in action) &&
    ["COMPLETED", "FAILED"].includes(expect.state) &&
    name !== "unserializable"
  );
}

/** Writes the journal of a run that was played. */
export async function record(
  one: ConformanceCase,
  runId: string,
  workerId: string,
  server: { client: Client; httpUrl: string },
): Promise<void> {
  const { workers } = await rpc(server.client, WorkerService.method.listWorkers, {});
  const info = workers.find((worker) => worker.info?.workerId.startsWith(workerId))?.info;
  if (info === undefined) throw new Error(`The worker ${workerId} is not listed.`);
  const folder = join(journalsFolder, `${info.language}-${info.sdkVersion}`);
  await mkdir(folder, { recursive: true });
  const { out, err, code } = await pawl(["export", runId], { url: server.httpUrl });
  if (code !== 0) throw new Error(`pawl export failed: ${err}`);
  const journal = JSON.parse(out) as { run: { queue?: string } };
  journal.run.queue = journalsQueue;
  await writeFile(join(folder, `${one.name}.json`), `${JSON.stringify(journal)}\n`);
}

/** The folders of kept journals, each with its SDK's name. */
export async function keptFolders(): Promise<{ name: string; folder: string; sdk: string }[]> {
  const names = await readdir(journalsFolder);
  return names
    .sort()
    .map((name) => ({ name, folder: join(journalsFolder, name), sdk: name.split("-")[0] ?? "" }));
}

/** Marks the crashes of a recorded run as having happened, so that a replay has none. */
export async function markCrashes(file: string, marksFolder: string): Promise<void> {
  const { run, entries } = JSON.parse(await readFile(file, "utf8")) as {
    run: { runId: string };
    entries: { payload?: { data?: string } }[];
  };
  const input = Buffer.from(entries[0]?.payload?.data ?? "", "base64").toString("utf8");
  for (const [, label] of input.matchAll(/"(?:label|crash)":"([^"]+)"/g)) {
    await writeFile(join(marksFolder, `${run.runId}.${label}`), "");
  }
}
