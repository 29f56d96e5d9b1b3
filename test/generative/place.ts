/** Where code of a program stands, and what it throws. */
/** As a program sees it; what is caught, and what fails a run. */
export class ModelError extends Error {
  readonly type: string;

  constructor(type: string, message: string) {
    super(message);
    this.type = type;
  }
}

export const cancelled = (): ModelError => new ModelError("Cancelled", "");

/** Where code stands: keys are counted in it, and its end ends what is asked for in it. */
export class Place {
  readonly prefix: string;
  readonly #parent: Place | undefined;
  readonly #uses: Map<string, number>;
  readonly #shielded: boolean;
  #ended = false;

  constructor(
    parent: Place | undefined,
    prefix: string,
    uses = new Map<string, number>(),
    shielded = false,
  ) {
    this.#parent = parent;
    this.prefix = prefix;
    this.#uses = uses;
    this.#shielded = shielded;
  }

  /** The key of the next use of a name; a key that the code gives is not counted. */
  key(segment: string): string {
    const used = (this.#uses.get(segment) ?? 0) + 1;
    this.#uses.set(segment, used);
    return `${this.prefix}${segment}${used === 1 ? "" : `#${used}`}`;
  }

  within(key: string, shielded = false): Place {
    return new Place(this, `${key}/`, undefined, shielded);
  }

  end(): void {
    this.#ended = true;
  }

  get isEnded(): boolean {
    if (this.#ended) return true;
    return !this.#shielded && this.#parent !== undefined && this.#parent.isEnded;
  }

  get isShielded(): boolean {
    return this.#shielded || (this.#parent?.isShielded ?? false);
  }
}

export function percentEscape(text: string): string {
  return text.replace(
    /[%/#[\]:]/g,
    (sign) => `%${sign.charCodeAt(0).toString(16).toUpperCase().padStart(2, "0")}`,
  );
}
