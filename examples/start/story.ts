/** Tells what happens in the run while it happens, and says when it is time to kill a worker. */
import type { RunEvent } from "@pawl/worker";
import { nameStep } from "./history.ts";
import { clip, count, fit, fitPath, paint, print, seconds, width } from "./screen.ts";

/** The part of the ranking that is done before the worker is killed. */
const doneBeforeKill = 0.55;
/** Of what a step belongs to. */
const groupColumnsMax = 24;

export interface StoryOptions {
  /** How many sentences are picked from each file, at most. */
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
  #files = 0;
  #groupColumns = 5;
  #ranked = 0;
  #replayed = 0;
  #cutOff = 0;
  /** Keys of steps that run, with how many sentences came of each. */
  readonly #inFlight = new Map<string, number>();

  constructor(options: StoryOptions) {
    this.#options = options;
  }

  get killed(): boolean {
    return this.#state !== "running";
  }

  hear(event: RunEvent): void {
    const atMs = event.at?.getTime() ?? Date.now();
    if (this.#startMs === 0) this.#startMs = atMs;
    switch (event.type) {
      case "workflow.step.started":
        if (!this.#inFlight.has(event.stepKey)) this.#inFlight.set(event.stepKey, 0);
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
    const groups = [...this.#inFlight.keys()].map((key) => nameStep(key).group);
    this.#inFlight.clear();
    const text = `kill -9 ${pid} while it ranks ${groups.join(" and ")}`;
    this.#say(atMs, this.#worker, clip(text, width - 21), "red");
  }

  #hearSentence(event: RunEvent, atMs: number): void {
    const { stepKey, data } = event;
    // What was on its way when the worker ended.
    if (this.#state === "killing") return;
    this.#hearWorker(this.#worker, atMs);
    this.#inFlight.set(stepKey, (this.#inFlight.get(stepKey) ?? 0) + 1);
    const text = typeof data === "object" && data !== null && "text" in data ? data.text : "";
    const { group } = nameStep(stepKey);
    const quote = clip(`  “${String(text)}”`, width - 22 - this.#groupColumns);
    this.#say(atMs, this.#worker, `${fitPath(group, this.#groupColumns)} ${paint("dim", quote)}`);
    if (this.#state !== "running" || this.#progress() < doneBeforeKill) return;
    this.#state = "killing";
    this.#options.onMiddle(this.#worker);
  }

  /** The part of the ranking that is done, 0 to 1. */
  #progress(): number {
    const sentences = this.#inFlight.values().reduce((sum, n) => sum + n, 0);
    return (this.#ranked + sentences / this.#options.sentencesPerFile) / this.#files;
  }

  #hearResult({ stepKey, entry }: RunEvent, atMs: number): void {
    if (entry === undefined) return;
    if (this.#state === "running" || this.#state === "killing") this.#replayed += 1;
    if (this.#state === "recovered") this.#hearWorker(entry.workerId, atMs);
    this.#worker = entry.workerId;
    this.#inFlight.delete(stepKey);
    const { group, name } = nameStep(stepKey);
    const say = (what: string) => {
      const label = fitPath(group, this.#groupColumns);
      this.#say(atMs, this.#worker, `${label} ${paint("green", "✓")} ${what}`);
    };
    if (group === "list" && Array.isArray(entry.value)) {
      this.#files = entry.value.length;
      const lengths = entry.value.map((path) => String(path).length);
      this.#groupColumns = Math.min(groupColumnsMax, Math.max(this.#groupColumns, ...lengths));
      say(count(this.#files, "text"));
    } else {
      if (name === "rank") this.#ranked += 1;
      say(name || "done");
    }
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

  #say(atMs: number, who: string, what: string, style?: "red" | "bold"): void {
    const time = seconds(Math.max(0, atMs - this.#startMs)).padStart(7);
    const line = `${fit(who, 9)} ${what}`;
    print(`  ${paint("dim", time)}  ${style === undefined ? line : paint(style, line)}`);
  }
}
