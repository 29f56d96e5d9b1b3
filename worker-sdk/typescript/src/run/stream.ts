import { UsageError } from "../errors.ts";
import type { Reduce } from "./step-settings.ts";

export function isAsyncIterable(value: unknown): value is AsyncIterable<unknown> {
  return (
    typeof value === "object" &&
    value !== null &&
    Symbol.asyncIterator in value &&
    typeof value[Symbol.asyncIterator] === "function"
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

/**
 * Reads a stream to its end: hands each item to `emit`, and reduces them to the
 * step's result. Stops reading, and lets the stream clean up, once `stopped`.
 */
export async function consume(
  items: AsyncIterable<unknown>,
  reduce: Reduce,
  name: string,
  emit: (item: unknown) => void,
  stopped: () => boolean,
): Promise<unknown> {
  const reducer = reducerOf(reduce, name);
  for await (const item of items) {
    reducer.add(item);
    emit(item);
    if (stopped()) break;
  }
  return reducer.result();
}
