/** Events as the items of a stream: what agents and models tell of themselves while they work. */
import { uuidv7 } from "../lib/ids.ts";
import { shareClass } from "../lib/shared-class.ts";
import { checkName } from "./keys.ts";

/**
 * How long live output is kept: `ephemeral`, for those who watch at that moment; `buffered`, until
 * the result of its step supersedes it; `durable`, as long as the run's journal.
 */
export type Keep = "ephemeral" | "buffered" | "durable";

/** How a live event is sent. */
export interface EmitOptions {
  /**
   * `ephemeral`: for those who watch at that moment; `buffered`: until the result of its step
   * supersedes it; `durable`: as long as the run's journal. Default: `buffered`.
   */
  readonly keep?: Keep;
  /** Tells parallel streams of one step apart. Default: 0. */
  readonly contentIndex?: number;
  /** Names it, for others to name it as their parent; unique within the run. */
  readonly id?: string;
  /** The event that it belongs to. Default: the span, branch or step around it. */
  readonly parent?: string;
}

/** An item of a stream that goes out as an event of its own type. Made by `event`. */
export class StreamEvent<T extends string = string, D = unknown> {
  readonly type: T;
  readonly data: D;
  readonly options: EmitOptions;

  constructor(type: T, data: D, options: EmitOptions) {
    this.type = type;
    this.data = data;
    this.options = options;
  }
}

shareClass(StreamEvent);

/**
 * What a step or agent yields to send an event: `yield event("lm.message.delta", text)`. It goes out
 * live, and is not a part of the step's result, except that `agent.completed` has it as its `output`.
 *
 * An event without a `parent` belongs to what is open in its stream: one of a family, such as
 * `tool.call.delta`, to the latest `tool.call.started`, until `tool.call.completed`; all others to
 * the innermost agent between `agent.started` and `agent.completed`. Where several of a family are
 * open at once, give them an `id`, and name it as the `parent` of what belongs to them.
 */
export function event<const T extends string>(type: T): StreamEvent<T, undefined>;
export function event<const T extends string, D>(
  type: T,
  data: D,
  options?: EmitOptions,
): StreamEvent<T, D>;
export function event(
  type: string,
  data?: unknown,
  options: EmitOptions = {},
): StreamEvent<string, unknown> {
  checkName("an event type", type);
  return new StreamEvent(type, data, options);
}

/** Last words of types that open and close something. */
const opens: ReadonlySet<string> = new Set(["started", "start"]);
const closes: ReadonlySet<string> = new Set(["completed", "stop", "failed", "cancelled"]);

interface Open {
  readonly family: string;
  readonly id: string;
  /** The agent around it. */
  readonly agent: string | undefined;
}

interface Placed {
  readonly id: string | undefined;
  /** Undefined: what the stream as a whole belongs to. */
  readonly parent: string | undefined;
  /** It is of the stream itself, in no agent. */
  readonly outermost: boolean;
}

/** Finds parents of the events of one stream, in their order. */
export class Nesting {
  /** What was opened without an id; the innermost is the last. */
  readonly #open: Open[] = [];
  /** The agents around those agents that named themselves. */
  readonly #named = new Map<string, string | undefined>();

  place({ type, options }: StreamEvent): Placed {
    const dot = type.lastIndexOf(".");
    const family = type.slice(0, Math.max(0, dot));
    const word = type.slice(dot + 1);
    if (opens.has(word)) return this.#start(family, options);
    if (closes.has(word)) return this.#end(family, options);
    const { id, parent = this.#latest(family)?.id ?? this.#agent() } = options;
    return { id, parent, outermost: parent === undefined };
  }

  #start(family: string, { id, parent = this.#agent() }: EmitOptions): Placed {
    const own = id ?? uuidv7();
    // Who names it names it as the parent, too.
    if (id === undefined) this.#open.push({ family, id: own, agent: parent });
    if (family === "agent") this.#named.set(own, parent);
    return { id: own, parent, outermost: parent === undefined };
  }

  #end(family: string, { id, parent }: EmitOptions): Placed {
    const ended =
      parent === undefined ? this.#latest(family) : this.#open.find((one) => one.id === parent);
    if (ended !== undefined) this.#open.splice(this.#open.indexOf(ended), 1);
    const of = parent ?? ended?.id ?? this.#agent();
    const isOutermost = of === undefined || (this.#named.has(of) && !this.#named.get(of));
    return { id, parent: of, outermost: isOutermost };
  }

  #latest(family: string): Open | undefined {
    return family === "" ? undefined : this.#open.findLast((one) => one.family === family);
  }

  #agent(): string | undefined {
    return this.#latest("agent")?.id;
  }
}
