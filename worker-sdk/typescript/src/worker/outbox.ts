// Section X of docs/replay-machine.md.
/**
 * Frames on their way out. What comes up in one turn of the event loop leaves
 * together in one message, since a message costs far more than a frame.
 *
 * A start note is looked at when the message leaves: if its step has ended by
 * then, its completion follows and the start is no news.
 *
 * States: empty → scheduled (to leave at the end of this turn) → empty; or lingering, for a moment
 * at most: frames wait for what the next message of the server brings up, and leave with that.
 */
import type { MessageInitShape } from "@bufbuild/protobuf";
import { create } from "@bufbuild/protobuf";
import {
  type WorkerFrameSchema,
  type WorkerServiceAttachRequest,
  WorkerServiceAttachRequestSchema,
} from "@pawl/proto";
import { limits } from "../limits.ts";
import type { StartNote } from "../run/link.ts";

export type FrameInit = MessageInitShape<typeof WorkerFrameSchema>;

interface Item {
  readonly frame: FrameInit | StartNote;
  readonly bytes: number;
}

function isNote(frame: FrameInit | StartNote): frame is StartNote {
  return "startMessage" in frame;
}

/** For how long frames may wait for others, in ms. */
const lingerMs = 2;

/** What a frame without payloads has at most, about. */
export const frameBytes = 512;

export class Outbox {
  readonly #transmit: (
    message: WorkerServiceAttachRequest,
    onSent: (() => void) | undefined,
  ) => void;
  readonly #onUnsendable: (frame: FrameInit, error: unknown) => void;
  #items: Item[] = [];
  /** Whom to tell when these have left. */
  #leaving: (() => void)[] = [];
  #scheduled = false;
  #lingering: NodeJS.Timeout | undefined;
  #open = false;

  /** `transmit` throws for a message that cannot be encoded; `onUnsendable` is told of the frame in it. */
  constructor(
    transmit: (message: WorkerServiceAttachRequest, onSent: (() => void) | undefined) => void,
    onUnsendable: (frame: FrameInit, error: unknown) => void,
  ) {
    this.#transmit = transmit;
    this.#onUnsendable = onUnsendable;
  }

  /** Starts from nothing, with this frame alone in the first message. */
  restart(first: FrameInit): void {
    this.#items = [];
    this.#open = true;
    this.#send([first], undefined);
  }

  /** Nothing leaves any more; what waits is forgotten. */
  close(): void {
    this.#open = false;
    this.#items = [];
    this.hurry();
    for (const onSent of this.#leaving.splice(0)) onSent();
  }

  /** @param bytes about how large the frame is when encoded */
  push(frame: FrameInit | StartNote, bytes: number): void {
    if (!this.#open) return;
    this.#items.push({ frame, bytes });
    this.#schedule();
  }

  #schedule(): void {
    if (this.#scheduled || this.#lingering !== undefined) return;
    this.#scheduled = true;
    setImmediate(() => {
      this.#scheduled = false;
      this.flush();
    });
  }

  /** What comes up from now on may wait until `hurry`, or for a moment. */
  linger(): void {
    this.#lingering ??= setTimeout(() => this.hurry(), lingerMs);
  }

  /** Nothing waits for others any more. */
  hurry(): void {
    if (this.#lingering === undefined) return;
    clearTimeout(this.#lingering);
    this.#lingering = undefined;
    if (this.#items.length > 0) this.#schedule();
  }

  /** Calls back when what was pushed so far has left this process, or never will. */
  whenSent(onSent: () => void): void {
    if (this.#open && this.#items.length > 0) this.#leaving.push(onSent);
    else onSent();
  }

  flush(): void {
    if (!this.#open || this.#items.length === 0) return;
    const leaving = this.#leaving;
    this.#leaving = [];
    const onSent =
      leaving.length === 0
        ? undefined
        : () => {
            for (const tell of leaving) tell();
          };
    const items = this.#items;
    this.#items = [];
    let frames: FrameInit[] = [];
    let bytes = 0;
    for (const { frame, bytes: size } of items) {
      let init: FrameInit;
      if (isNote(frame)) {
        if (frame.ended) continue;
        init = { id: 0, body: { case: "stepStarted", value: frame.startMessage() } };
      } else {
        init = frame;
      }
      if (
        frames.length >= limits.framesPerMessageMax ||
        (frames.length > 0 && bytes + size > limits.sessionMessageBytesMax)
      ) {
        this.#send(frames, undefined);
        frames = [];
        bytes = 0;
      }
      frames.push(init);
      bytes += size;
    }
    if (frames.length > 0) this.#send(frames, onSent);
    else onSent?.();
  }

  /** One frame that cannot be encoded keeps none of the others from leaving. */
  #send(frames: readonly FrameInit[], onSent: (() => void) | undefined): void {
    try {
      this.#transmit(create(WorkerServiceAttachRequestSchema, { frames: [...frames] }), onSent);
    } catch (error) {
      const [only] = frames;
      if (frames.length > 1) for (const frame of frames) this.#send([frame], undefined);
      else if (only !== undefined) this.#onUnsendable(only, error);
      onSent?.();
    }
  }
}
