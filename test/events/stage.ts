/** What the tests of events share: worker processes, and events in short. */
import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { join } from "node:path";
import { create, fromBinary, type MessageInitShape, toBinary } from "@bufbuild/protobuf";
import type { Client } from "@grpc/grpc-js";
import { type Event, EventService, type WatchRunRequestSchema } from "@pawl/proto";
import { withoutPawl } from "../harness/server.ts";
import { jsonOf } from "../semantics/lab.ts";

/** Starts a program of this folder and waits until it says that it is ready. */
export async function startProgram(file: string, ...args: string[]): Promise<ChildProcess> {
  const child = spawn(process.execPath, [join(import.meta.dirname, file), ...args], {
    env: withoutPawl(process.env),
    stdio: ["pipe", "pipe", "inherit"],
  });
  if (child.stdout === null) throw new Error("The program has no output.");
  await Promise.race([once(child.stdout, "data"), once(child, "exit")]);
  child.stdout.resume();
  return child;
}

export async function kill(child: ChildProcess): Promise<void> {
  if (child.exitCode !== null || child.signalCode !== null) return;
  const ended = once(child, "exit");
  child.kill("SIGKILL");
  await ended;
}

/** A stream of one run's events, read by hand. */
export class Watcher {
  readonly events: Event[] = [];
  error: Error | undefined;
  readonly ended: Promise<void>;
  readonly #stream: ReturnType<Client["makeServerStreamRequest"]>;
  #wake = Promise.withResolvers<void>();

  constructor(client: Client, request: MessageInitShape<typeof WatchRunRequestSchema>) {
    const { watchRun } = EventService.method;
    this.#stream = client.makeServerStreamRequest(
      `/${EventService.typeName}/${watchRun.name}`,
      (bytes: Buffer) => bytes,
      (bytes: Buffer) => fromBinary(watchRun.output, bytes),
      Buffer.from(toBinary(watchRun.input, create(watchRun.input, request))),
    );
    this.#stream.on("data", ({ events }: { events: Event[] }) => {
      this.events.push(...events);
      this.#changed();
    });
    this.ended = new Promise((resolve) => {
      this.#stream.on("error", (error: Error) => {
        this.error = error;
        this.#changed();
        resolve();
      });
      this.#stream.on("end", () => {
        this.#changed();
        resolve();
      });
    });
  }

  #changed(): void {
    this.#wake.resolve();
    this.#wake = Promise.withResolvers<void>();
  }

  /** The first event of which this is true. */
  async until(found: (event: Event) => boolean): Promise<Event> {
    for (;;) {
      const event = this.events.find(found);
      if (event !== undefined) return event;
      const over = this.ended.then(() => true);
      if ((await Promise.race([this.#wake.promise, over])) === true && !this.events.some(found))
        throw new Error(`The stream ended without it: ${this.events.map(short).join(" ")}`);
    }
  }

  stop(): void {
    this.#stream.cancel();
  }
}

/** An event without the live start of a step, in short: its type, and what it is of. */
export function short(event: Event): string {
  const { type, stepKey, attempt, contentIndex } = event;
  const name = type.replace("workflow.step.", "step.");
  if (type === "output.delta") {
    const index = contentIndex === 0 ? "" : `#${contentIndex}`;
    return `${stepKey}@${attempt}${index}=${String(jsonOf(event.payload))}`;
  }
  return stepKey === "" ? name : `${name}:${stepKey}@${attempt}`;
}
