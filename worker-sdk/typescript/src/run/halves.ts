/**
 * Texts that were cut within a character, as some models' clients cut them: half of a surrogate pair
 * at the end waits for the other half, so that watchers are sent the characters that the result has.
 */
import type { SendItem } from "./stream.ts";
import type { EmitOptions } from "./stream-event.ts";

interface Half {
  readonly text: string;
  readonly type: string;
  readonly options: EmitOptions;
}

const endsInHalf = /[\ud800-\udbff]$/;

export class Halves {
  readonly #sendNow: SendItem;
  #open: Map<string, Half> | undefined;

  constructor(send: SendItem) {
    this.#sendNow = send;
  }

  send(type: string, data: unknown, options: EmitOptions): void {
    if (typeof data !== "string" || (this.#open === undefined && !endsInHalf.test(data))) {
      this.#sendNow(type, data, options);
      return;
    }
    this.#open ??= new Map();
    const stream = `${type}\n${options.parent ?? ""}\n${options.contentIndex ?? 0}`;
    const before = this.#open.get(stream)?.text ?? "";
    this.#open.delete(stream);
    const text = before + data;
    const isCut = endsInHalf.test(text);
    if (isCut) this.#open.set(stream, { text: text.slice(-1), type, options });
    const whole = isCut ? text.slice(0, -1) : text;
    if (whole !== "" || data === "") this.#sendNow(type, whole, options);
  }

  /** The stream has ended: what still waits has lost its other half. */
  flush(): void {
    for (const { text, type, options } of this.#open?.values() ?? [])
      this.#sendNow(type, text, options);
  }
}
