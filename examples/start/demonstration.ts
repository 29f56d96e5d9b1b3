/** The demonstration itself: a run, the kill in its middle, and the proof. */
import { mkdtemp, readFile, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { Client, RunHandle } from "@pawl/worker";
import { readExecutions } from "../digest/audit.ts";
import { digest } from "../digest/workflow.ts";
import { checkRun, type Finding } from "./check.ts";
import { Complaint } from "./complaint.ts";
import { type Entry, type History, readHistory } from "./history.ts";
import type { Running } from "./processes.ts";
import { count, paint, print } from "./screen.ts";
import { Story } from "./story.ts";

/** How long the run is to take in all, so that it can be watched. */
const wantedMs = 6_000;
const paceMaxMs = 400;
const sentencesPerFile = 3;
const concurrency = 2;
/** After this long without an end something is wrong. */
const giveUpMs = 10 * 60_000;

export interface DemonstrationOptions {
  readonly client: Client;
  readonly workers: readonly Running[];
  /** Folder of the texts, absolute. */
  readonly input: string;
  /** How many there are. */
  readonly texts: number;
  readonly dataDir: string;
  readonly auditFile: string;
  readonly kill: (worker: Running) => Promise<void>;
}

/** What was shown, and whether it held. */
export interface Demonstration {
  readonly runId: string;
  readonly history: History;
  readonly output: Awaited<ReturnType<typeof digest>>;
  readonly findings: readonly Finding[];
  readonly killed: Running;
  readonly killedMs: number;
}

type Settings = Parameters<typeof digest>[0];

/**
 * Runs it and says what happens.
 *
 * @throws Complaint where there was no middle in which to kill a worker.
 */
export async function demonstrate(options: DemonstrationOptions): Promise<Demonstration> {
  const { client, auditFile } = options;
  const settings = chooseSettings(options);
  const runId = nameRun(new Date());
  const run = await client.start(digest, settings, { runId });
  const kill = await watch(run, options);
  const output = await run.result({ timeout: giveUpMs });
  if (kill === undefined) {
    throw new Complaint(1, "The run was over before a worker could be killed; try more text.");
  }
  const history = readHistory(await readEntries(run));
  const findings = checkRun({
    history,
    executions: readExecutions(auditFile, runId),
    killed: kill.worker,
    report: await readFile(output.report, "utf8"),
    plainReport: await reportWithoutServer(settings, history),
  });
  return { runId, history, output, findings, killed: kill.worker, killedMs: kill.atMs };
}

/** The workflow's input, with a pace at which a person can follow. Says so. */
function chooseSettings({ input, texts, dataDir }: DemonstrationOptions): Settings {
  const sentences = texts * sentencesPerFile;
  const paceMs = Math.min(paceMaxMs, Math.ceil((wantedMs * concurrency) / sentences));
  print(`  ${paint("bold", "run")}       digest of ${count(texts, "text")} in ${input}`);
  const note = `${count(sentencesPerFile, "sentence")} of each, with a pause of ${paceMs} ms after each, for you to watch`;
  print(paint("dim", `            ${note}`));
  print();
  const outputDir = join(dataDir, "digest");
  return { dir: input, sentences: sentencesPerFile, outputDir, concurrency, paceMs };
}

/** `digest-20261121-041500`, unlike that of any other second. */
function nameRun(now: Date): string {
  const stamp = now.toISOString().replaceAll(/[-:]/g, "").slice(0, 15).replace("T", "-");
  return `digest-${stamp}`;
}

interface Kill {
  readonly worker: Running;
  readonly atMs: number;
}

/** Tells the run's story to its end, and kills the worker that has it in the middle. */
async function watch(
  run: RunHandle<unknown>,
  { workers, texts, kill }: DemonstrationOptions,
): Promise<Kill | undefined> {
  let killed: Kill | undefined;
  let killing: Promise<void> | undefined;
  const story = new Story({
    texts,
    sentencesPerFile,
    survivorOf: (name) => workers.find((worker) => worker.name !== name)?.name ?? "another worker",
    onMiddle: (name) => {
      const worker = workers.find((candidate) => candidate.name === name);
      if (worker === undefined) {
        throw new Complaint(
          1,
          `The run went to ${name}, a worker that was not started here; end it.`,
        );
      }
      killed = { worker, atMs: Date.now() };
      killing = kill(worker);
      story.kill(worker.pid, killed.atMs);
    },
  });
  for await (const event of run.watch()) story.hear(event);
  await killing;
  return killed;
}

async function readEntries(run: RunHandle<unknown>): Promise<Entry[]> {
  const entries: Entry[] = [];
  for await (const entry of run.journal()) {
    const { seq, type, stepKey, attempt, workerId, latencyMs, recordedAt, payload: value } = entry;
    const atMs = recordedAt?.getTime() ?? 0;
    entries.push({ seq, type, stepKey, attempt, workerId, atMs, latencyMs, value });
  }
  return entries;
}

/** The same texts and the same function, called here and now: nothing recorded, nothing killed. */
async function reportWithoutServer(settings: Settings, { entries }: History): Promise<string> {
  const list = entries.find(({ stepKey, type }) => {
    return stepKey === "list" && type === "workflow.step.completed";
  });
  const outputDir = await mkdtemp(join(tmpdir(), "pawl-start-"));
  try {
    const files = Array.isArray(list?.value) ? list.value.map(String) : undefined;
    const { report } = await digest({ ...settings, ...(files && { files }), outputDir, paceMs: 0 });
    return await readFile(report, "utf8");
  } finally {
    await rm(outputDir, { recursive: true, force: true });
  }
}
