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
  runId: string,
  workerId: string,
  server: { client: Client; httpUrl: string },
): Promise<void> {
  const { workers } = await rpc(server.client, WorkerService.method.listWorkers, {});
  const info = workers.find((worker) => worker.info?.workerId.startsWith(workerId))?.info;
  if (info === undefined) throw new Error(`The worker ${workerId} is not listed.`);
  const { out, err, code } = await pawl(["export", runId], { url: server.httpUrl });
  if (code !== 0) throw new Error(`pawl export failed: ${err}`);
  const journal = JSON.parse(out) as Journal;
  journal.run.queue = journalsQueue;
  const file = join(journalsFolder, `${info.language}-${info.sdkVersion}.jsonl`);
  // One after the other, as they share the file.
  writing = writing.then(() => keep(file, journal));
  await writing;
}

let writing = Promise.resolve();

/** Puts the journal into the file, in the place of an earlier one of the run. */
async function keep(file: string, journal: Journal): Promise<void> {
  await mkdir(journalsFolder, { recursive: true });
  const others = (await journalsIn(file)).filter(({ run }) => run.runId !== journal.run.runId);
  const all = [...others, journal].sort((a, b) => (a.run.runId < b.run.runId ? -1 : 1));
  await writeFile(file, all.map((one) => `${JSON.stringify(one)}\n`).join(""));
}

interface Journal {
  run: { runId: string; queue?: string };
  entries: { payload?: { data?: string } }[];
}

/** The journals of a file, one in each line; none where there is no file yet. */
async function journalsIn(file: string): Promise<Journal[]> {
  const text = await readFile(file, "utf8").catch((error: NodeJS.ErrnoException) => {
    if (error.code === "ENOENT") return "";
    throw error;
  });
  const lines = text.split("\n").filter((line) => line !== "");
  return lines.map((line) => JSON.parse(line) as Journal);
}

/** The kept journals: one file for each version of an SDK. */
export async function keptFiles(): Promise<{ name: string; file: string; sdk: string }[]> {
  const names = await readdir(journalsFolder);
  return names.sort().map((name) => ({
    name: name.replace(/\.jsonl$/, ""),
    file: join(journalsFolder, name),
    sdk: name.split("-")[0] ?? "",
  }));
}

/**
 * Marks the crashes of the recorded runs as having happened, so that a replay has none.
 *
 * @returns how many runs there are
 */
export async function markCrashes(file: string, marksFolder: string): Promise<number> {
  const journals = await journalsIn(file);
  for (const { run, entries } of journals) {
    const input = Buffer.from(entries[0]?.payload?.data ?? "", "base64").toString("utf8");
    for (const [, label] of input.matchAll(/"(?:label|crash)":"([^"]+)"/g)) {
      await writeFile(join(marksFolder, `${run.runId}.${label}`), "");
    }
  }
  return journals.length;
}
