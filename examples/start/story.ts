/** Says what happens in the run while it happens, and says when it is time to kill a worker. */
import type { EventView } from "@pawl/worker";
import { nameStep } from "./history.ts";
import { clip, count, fit, fitPath, paint, print, seconds, width } from "./screen.ts";

/** The part of the ranking that is done before the worker is killed, in the middle of a step. */
const doneBeforeKill = 0.4;
/** Of more texts than this not every sentence is told, but that many lines on how far it is. */
const textsToldMax = 16;
const progressLines = 16;
/** Of what a step belongs to. */
const groupColumnsMax = 24;

export interface StoryOptions {
  /** How many files there are. */
  readonly texts: number;
  /** How many sentences are picked from each of them, at most. */
  readonly sentencesPerFile: number;
  readonly survivorOf: (worker: string) => string;
  /** Called once, in the middle of the run, with the worker that executes it. */
  readonly onMiddle: (worker: string) => void;
}

/**
 * States: `running` until the middle, `killing` until the server took the run back, `recovered`
 * until the other worker is heard of, `continuing` to the end.
 */
export class Story {
  readonly #options: StoryOptions;
  #state: "running" | "killing" | "recovered" | "continuing" = "running";
  #startMs = 0;
  #killedMs = 0;
  /** Who executes the run. */
  #worker = "";
  #groupColumns = 5;
  #ranked = 0;
  #replayed = 0;
  #cutOff = 0;
  /** Keys of steps that run, with how many sentences came of each. */
  readonly #inFlight = new Map<string, number>();
  readonly #ended = new Set<string>();
  /** How many sentences will come of a file. */
  readonly #expected = new Map<string, number>();

  constructor(options: StoryOptions) {
    this.#options = options;
  }

  get killed(): boolean {
    return this.#state !== "running";
  }

  hear(event: EventView): void {
    const atMs = event.at?.getTime() ?? Date.now();
    if (this.#startMs === 0) this.#startMs = atMs;
    switch (event.type) {
      case "workflow.step.started":
        this.#hearStart(event.stepKey);
        break;
      case "output.delta":
        this.#hearSentence(event, atMs);
        break;
      case "workflow.step.completed":
        this.#hearResult(event, atMs);
        break;
      case "run.recovered":
        this.#hearRecovery(atMs);
        break;
      default:
        break;
    }
  }

  /** The worker has been killed. */
  kill(pid: number, atMs: number): void {
    this.#killedMs = atMs;
    this.#cutOff = this.#inFlight.size;
    const [first = "", ...more] = [...this.#inFlight.keys()].map((key) => nameStep(key).group);
    const rest = more.length > 1 ? ` and ${more.length} more` : more.map((name) => ` and ${name}`);
    this.#inFlight.clear();
    const text = `kill -9 ${pid} while it ranks ${first}${rest}`;
    this.#say(atMs, this.#worker, clip(text, width - 21), "red");
  }

  /** A short step's start may be told after its end. */
  #hearStart(key: string): void {
    if (!this.#ended.has(key) && !this.#inFlight.has(key)) this.#inFlight.set(key, 0);
  }

  #hearSentence(event: EventView, atMs: number): void {
    const { stepKey, payload: data } = event;
    // What was on its way when the worker or the step ended.
    if (this.#state === "killing" || this.#ended.has(stepKey)) return;
    this.#hearWorker(this.#worker, atMs);
    const sentences = (this.#inFlight.get(stepKey) ?? 0) + 1;
    this.#inFlight.set(stepKey, sentences);
    const text = typeof data === "object" && data !== null && "text" in data ? data.text : "";
    const { group } = nameStep(stepKey);
    const quote = clip(`  “${String(text)}”`, width - 22 - this.#groupColumns);
    if (!this.#isLong) this.#tell(atMs, group, paint("dim", quote));
    const isMiddle = sentences === Math.ceil(this.#expectedOf(stepKey) / 2);
    if (this.#state !== "running" || !isMiddle || this.#progress() < doneBeforeKill) return;
    this.#state = "killing";
    this.#options.onMiddle(this.#worker);
  }

  #expectedOf(key: string): number {
    return this.#expected.get(nameStep(key).group) ?? this.#options.sentencesPerFile;
  }

  /** The part of the ranking that is done, 0 to 1. */
  #progress(): number {
    const parts = [...this.#inFlight].map(([key, n]) => n / Math.max(1, this.#expectedOf(key)));
    return parts.reduce((sum, part) => sum + part, this.#ranked) / this.#options.texts;
  }

  #hearResult({ stepKey, entry }: EventView, atMs: number): void {
    if (entry === undefined) return;
    if (this.#state === "running" || this.#state === "killing") this.#replayed += 1;
    if (this.#state === "recovered") this.#hearWorker(entry.workerId, atMs);
    this.#worker = entry.workerId;
    this.#inFlight.delete(stepKey);
    this.#ended.add(stepKey);
    const { group, name } = nameStep(stepKey);
    if (name === "read") this.#noteText(group, entry.payload);
    if (name === "rank") this.#ranked += 1;
    const done = paint("green", "✓");
    if (stepKey === "list" && Array.isArray(entry.payload)) {
      const lengths = entry.payload.map((path) => String(path).length);
      this.#groupColumns = Math.min(groupColumnsMax, Math.max(this.#groupColumns, ...lengths));
      this.#tell(atMs, group, `${done} ${count(lengths.length, "text")}`);
    } else if (!this.#isLong || (name !== "read" && name !== "rank")) {
      this.#tell(atMs, group, `${done} ${name || "done"}`);
    } else if (name === "rank") {
      const { texts } = this.#options;
      if (this.#ranked % Math.ceil(texts / progressLines) === 0) {
        this.#tell(atMs, group, `${done} ${this.#ranked} of ${texts} ranked`);
      }
    }
  }

  /** How many sentences are to come of a text, where its record is small enough to tell. */
  #noteText(group: string, value: unknown): void {
    if (typeof value !== "object" || value === null || !("sentences" in value)) return;
    if (!Array.isArray(value.sentences)) return;
    const { sentencesPerFile } = this.#options;
    this.#expected.set(group, Math.min(sentencesPerFile, value.sentences.length));
  }

  get #isLong(): boolean {
    return this.#options.texts > textsToldMax;
  }

  #hearRecovery(atMs: number): void {
    this.#state = "recovered";
    this.#worker = this.#options.survivorOf(this.#worker);
    const after = seconds(Math.max(0, atMs - this.#killedMs));
    this.#say(
      atMs,
      "server",
      `takes the run back ${after} after the kill, hands it to ${this.#worker}`,
      "bold",
    );
  }

  /** The first thing that the second worker does. */
  #hearWorker(worker: string, atMs: number): void {
    if (this.#state !== "recovered") return;
    this.#state = "continuing";
    this.#worker = worker;
    const again =
      this.#cutOff === 1
        ? "the one that was cut off begins"
        : `the ${this.#cutOff} that were cut off begin`;
    this.#say(
      atMs,
      worker,
      `has ${count(this.#replayed, "step")} from the journal; ${again} again`,
      "bold",
    );
  }

  /** Something that the worker did. */
  #tell(atMs: number, group: string, what: string): void {
    this.#say(atMs, this.#worker, `${fitPath(group, this.#groupColumns)} ${what}`);
  }

  #say(atMs: number, who: string, what: string, style?: "red" | "bold"): void {
    const time = seconds(Math.max(0, atMs - this.#startMs)).padStart(7);
    const line = `${fit(who, 9)} ${what}`;
    print(`  ${paint("dim", time)}  ${style === undefined ? line : paint(style, line)}`);
  }
}
