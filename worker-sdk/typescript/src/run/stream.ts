import { snapshot } from "../codec/payload.ts";
import { UsageError } from "../errors.ts";
import { read } from "../lib/foreign.ts";
import { Halves } from "./halves.ts";
import type { Reduce } from "./step-settings.ts";
import { type EmitOptions, Nesting, StreamEvent } from "./stream-event.ts";

export function isAsyncIterable(value: unknown): value is AsyncIterable<unknown> {
  return (
    typeof value === "object" &&
    value !== null &&
    typeof read(value, Symbol.asyncIterator) === "function"
  );
}

interface Reducer {
  add(item: unknown): void;
  result(): unknown;
}

function joined(name: string): Reducer {
  const parts: string[] = [];
  return {
    add(item) {
      if (typeof item !== "string") {
        throw new UsageError(
          `step "${name}" yields values that are not texts; say with { reduce: "collect" }, "last" or a function what its result is`,
        );
      }
      parts.push(item);
    },
    result: () => parts.join(""),
  };
}

function last(): Reducer {
  let item: unknown;
  return {
    add(next) {
      item = next;
    },
    result: () => item,
  };
}

function collected(finish: (items: unknown[]) => unknown): Reducer {
  const items: unknown[] = [];
  return {
    add: (item) => void items.push(item),
    result: () => finish(items),
  };
}

function reducerOf(reduce: Reduce, name: string): Reducer {
  if (reduce === "join") return joined(name);
  if (reduce === "last") return last();
  if (reduce === "collect") return collected((items) => items);
  return collected((items) => reduce(items as never[]));
}

/** Sends an item or event. */
export type SendItem = (type: string, data: unknown, options: EmitOptions) => void;

export interface Consumer {
  /** Undefined: the output of the stream's agent, else its texts joined. */
  readonly reduce: Reduce | undefined;
  readonly name: string;
  readonly send: SendItem;
  /** The stream is read no further, and may clean up. */
  readonly stopped: () => boolean;
  /** The code that makes the items runs within it. Default: wherever it is. */
  readonly within?: (<R>(fn: () => R) => R) | undefined;
}

/** Of an agent's end. */
interface Output {
  readonly output: unknown;
}

function hasOutput(data: unknown): data is Output {
  return typeof data === "object" && data !== null && "output" in data;
}

/**
 * Reads a stream to its end: sends each event under its own type and each other item as
 * `output.delta`, and reduces these to the step's result.
 */
export async function consume(
  items: AsyncIterable<unknown>,
  { reduce, name, send, stopped, within }: Consumer,
): Promise<unknown> {
  const reducer = reducerOf(reduce ?? "join", name);
  const nesting = new Nesting();
  const halves = new Halves(send);
  let output: Output | undefined;
  for await (const given of within === undefined ? items : runWithin(items, within)) {
    // What is recorded is what was sent, though the generator may continue with its object.
    const item =
      given instanceof StreamEvent ? given : snapshot(given, `an item of step "${name}"`);
    if (item instanceof StreamEvent) {
      const { id, parent, outermost } = nesting.place(item);
      const { type, data, options } = item;
      if (type === "agent.completed" && outermost && hasOutput(data))
        output = { output: snapshot(data.output, `the output of step "${name}"`) };
      halves.send(type, data, {
        ...options,
        ...(id === undefined ? {} : { id }),
        ...(parent === undefined ? {} : { parent }),
      });
    } else {
      reducer.add(item);
      halves.send("output.delta", item, {});
    }
    if (stopped()) break;
  }
  halves.flush();
  return reduce === undefined && output !== undefined ? output.output : reducer.result();
}

/** A generator's code runs in the context of the code that asks for the next item. */
function runWithin(
  items: AsyncIterable<unknown>,
  within: <R>(fn: () => R) => R,
): AsyncIterable<unknown> {
  return {
    [Symbol.asyncIterator]() {
      const iterator = within(() => items[Symbol.asyncIterator]());
      return {
        next: () => within(() => iterator.next()),
        return: async () => {
          await within(() => iterator.return?.());
          return { done: true, value: undefined };
        },
      };
    },
  };
}
