/** Agents: code that reports itself, wherever it is called. */
import { errorType } from "../failure.ts";
import { messageOf } from "../lib/foreign.ts";
import { uuidv7 } from "../lib/ids.ts";
import { checkName } from "../run/keys.ts";
import { isAsyncIterable } from "../run/stream.ts";
import { Nesting, StreamEvent } from "../run/stream-event.ts";
import { contexts } from "./current.ts";

declare const passedOn: unique symbol;

/** Data of any type. A type of its own keeps these events from hiding the one with the output. */
interface AnyData {
  readonly [passedOn]: true;
}

/** What an agent yields: its events, the last of them with its output. */
export type AgentEvent<O> =
  | StreamEvent<"agent.completed", { readonly name: string; readonly output: O }>
  | StreamEvent<string, AnyData>;

/** What the body of an agent may return: its items and output, or only that. */
type AgentBody<O> = AsyncGenerator<unknown, O, undefined> | Promise<O> | O;

/**
 * Makes an agent of a function: when it is called, a stream that starts with `agent.started`, has
 * what the function yields and, as `agent.completed`, what it returns.
 *
 * - As a step's body, `ctx.step("ask", () => ask(question))`, it shows all that live and has the
 *   agent's output as its result. `s.stream(ask(question))` does so beside other work of a step.
 * - Called by an agent, `const notes = yield* research(topic)`, its events are below that one's,
 *   also where several run at once.
 * - What its code sends through `ctx` or in spans and steps of its own is below it as well.
 *
 * An agent that throws ends with `agent.failed`.
 */
export function agent<A extends unknown[], O>(
  name: string,
  body: (...args: A) => AgentBody<O>,
): (...args: A) => AsyncGenerator<AgentEvent<O>, O, undefined> {
  checkName("an agent", name);
  return async function* (...args) {
    const id = uuidv7();
    const nesting = new Nesting();
    const below = (item: unknown): StreamEvent => {
      const given = item instanceof StreamEvent ? item : new StreamEvent("output.delta", item, {});
      const placed = nesting.place(given);
      const own = placed.id === undefined ? {} : { id: placed.id };
      const options = { ...given.options, ...own, parent: placed.parent ?? id };
      return new StreamEvent(given.type, given.data, options);
    };
    yield of(new StreamEvent("agent.started", { name }, { id }));
    const call = inSpan(id);
    let iterator: AsyncIterator<unknown, O> | undefined;
    try {
      const result = call(() => body(...args));
      let output: O;
      if (isGenerator<O>(result)) {
        iterator = result;
        let step = await call(() => result.next());
        for (; step.done !== true; step = await call(() => result.next())) {
          yield of(below(step.value));
        }
        iterator = undefined;
        output = step.value;
      } else {
        output = await result;
      }
      yield new StreamEvent("agent.completed", { name, output }, { parent: id });
      return output;
    } catch (error) {
      iterator = undefined;
      const [type, message] = [errorType(error), messageOf(error)];
      yield of(new StreamEvent("agent.failed", { name, error: { type, message } }, { parent: id }));
      throw error;
    } finally {
      // The reader has stopped reading.
      const open = iterator;
      if (open !== undefined) await call(() => open.return?.());
    }
  };
}

function isGenerator<O>(value: AgentBody<O>): value is AsyncGenerator<unknown, O, undefined> {
  return isAsyncIterable(value) && "next" in value;
}

function of<O>(event: StreamEvent): AgentEvent<O> {
  // The types of what is passed on say nothing about the output.
  return event as StreamEvent<string, AnyData>;
}

/** Calls within a span of the context that the caller is in, where there is one. */
function inSpan(id: string): <R>(fn: () => R) => R {
  const inner = contexts.getStore()?.inSpan(id);
  return (fn) => (inner === undefined ? fn() : contexts.run(inner, fn));
}
