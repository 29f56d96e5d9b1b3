/**
 * A wait for a call from outside. Unlike other waits it has something to say
 * before it is over: the URL to call. That is asked for in every replay, being a
 * secret that is on no record; the server makes the same one again.
 *
 * Until user code asks for its result, the run does not wait for it.
 */
import type { Run } from "./run.ts";
import type { Scope } from "./scope.ts";
import { type Registered, type WaitCall, WaitOperation } from "./wait.ts";

export interface CallbackAddress {
  readonly url: string;
  readonly token: string;
  readonly waitId: string;
}

export class CallbackOperation extends WaitOperation {
  readonly address: Promise<CallbackAddress>;
  readonly #known = Promise.withResolvers<CallbackAddress>();
  #isKnown = false;

  /** It is in flight in a scope of its own, so that it makes no later use of a name ambiguous. */
  constructor(run: Run, outer: Scope, key: string, call: WaitCall) {
    super(run, outer.childAt(key, outer.insideStep), key, call, false);
    this.address = this.#known.promise;
    this.address.catch(() => undefined);
    // What ends the wait before there is a URL, ends that too.
    this.promise.catch(this.#known.reject);
  }

  override open(): Promise<unknown> {
    const result = super.open();
    if (this.isRecorded) {
      const { deliveries, memo } = this.run;
      deliveries.pushRecorded(memo.createdSeq(this.key), () => this.#askForAddress());
    }
    return result;
  }

  /** The result of a callback on record is handed out later: here its URL is asked for alone. */
  async #askForAddress(): Promise<void> {
    const { outcome } = await this.ask();
    if (this.run.left) return;
    if (outcome.case === "replay" || outcome.case === "wait") this.#know(outcome.value);
  }

  protected override registered(answer: Registered): void {
    const { run } = this;
    if (!this.#isKnown) run.deliver(run.deliveries.lastSeq, () => this.#know(answer));
  }

  #know({ callbackUrl: url, callbackToken: token, waitId }: Registered): void {
    if (this.run.left) return;
    this.#isKnown = true;
    this.#known.resolve({ url, token, waitId });
  }
}
