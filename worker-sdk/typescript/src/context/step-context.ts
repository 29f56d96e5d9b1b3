import { publish } from "../run/events.ts";
import type { StepBody } from "../run/step-body.ts";
import type { Reduce } from "../run/step-settings.ts";
import { consume } from "../run/stream.ts";
import type { ModelCall } from "../telemetry/model-call.ts";
import { RunContext } from "./context.ts";
import { guarded, type RunBase } from "./place.ts";
import type { StepContext } from "./types.ts";

/** The context that the body of a step gets. */
export class StepBodyContext extends RunContext implements StepContext {
  readonly #stepBody: StepBody;

  constructor(base: RunBase, body: StepBody) {
    super(base, undefined, body);
    this.#stepBody = body;
  }

  get stepKey(): string {
    return this.#stepBody.operation.key;
  }
  get attempt(): number {
    return this.#stepBody.attempt;
  }
  get idempotencyKey(): string {
    return this.#stepBody.operation.idempotencyKey;
  }
  stream(
    items: AsyncIterable<unknown>,
    options: { readonly reduce?: Reduce } = {},
  ): Promise<never> {
    return guarded(() => this.#consume(items, options.reduce));
  }

  #consume(items: AsyncIterable<unknown>, reduce: Reduce | undefined): Promise<unknown> {
    const body = this.#stepBody;
    const { run, call } = body.operation;
    body.streams += 1;
    const contentIndex = body.streams;
    const { keep } = call.settings;
    const { parentEventId: around } = this.placeHere();
    return consume(items, {
      reduce,
      name: call.name,
      send: (type, data, { id, parent = around, ...options }) => {
        const place = { body, keep, contentIndex, ...options, eventId: id, parentEventId: parent };
        if (!body.ended) publish(run, type, data, place);
      },
      stopped: () => body.ended,
    });
  }
  modelCall(call: ModelCall): void {
    this.#stepBody.trace?.noteModelCall(call);
  }
}
