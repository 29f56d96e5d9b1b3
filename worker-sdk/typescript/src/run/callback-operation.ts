/**
 * A wait for a call from outside. Unlike other waits it has something to say
 * before it is over: the URL to call. That is asked for in every replay, being a
 * secret that is on no record; the server makes the same one again.
 *
 * Until user code asks for its result, the run does not wait for it.
 */
import { StepStartedResponse_Stop_Reason as StopReason } from "@pawl/proto";
import { Cancelled } from "../errors.ts";
import type { Deliveries } from "./deliveries.ts";
import type { MemoRecord } from "./memo.ts";
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
  /** The server is asked for its URL, here or by its registration. */
  #isAsked = false;

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
    const { deliveries, memo } = this.run;
    const createdSeq = memo.createdSeq(this.key);
    if (this.isRecorded || createdSeq > 0) this.#askAt(deliveries, createdSeq);
    return result;
  }

  override begin(): void {
    this.#isAsked = true;
    super.begin();
  }

  /** It may be resolved before it could begin here: another execution has registered it. */
  override resolved(record: MemoRecord): void {
    super.resolved(record);
    const { deliveries } = this.run;
    if (!this.#isAsked) this.#askAt(deliveries, deliveries.lastSeq);
  }

  /** Its URL is known at the place at which it was registered, and its result is handed out later. */
  #askAt(deliveries: Deliveries, seq: number): void {
    this.#isAsked = true;
    deliveries.pushRecorded(seq, () => this.#askForAddress().catch(this.#known.reject));
  }

  async #askForAddress(): Promise<void> {
    const { run } = this;
    const { outcome } = await this.ask();
    if (run.left) return;
    if (outcome.case === "replay" || outcome.case === "wait") this.#know(outcome.value);
    if (outcome.case !== "stop") return;
    const { reason, fence } = outcome.value;
    run.stop(StopReason[reason] ?? "LEASE_LOST", fence, this);
    const { cancelReason } = run;
    if (cancelReason !== undefined) this.#known.reject(new Cancelled(cancelReason));
  }

  protected override registered(answer: Registered): void {
    const { run } = this;
    // Replies come in the order of the journal: after all that came before this one.
    if (!this.#isKnown) run.deliver(run.deliveries.latestSeq, () => this.#know(answer));
  }

  #know({ callbackUrl: url, callbackToken: token, waitId }: Registered): void {
    if (this.run.left) return;
    this.#isKnown = true;
    this.#known.resolve({ url, token, waitId });
  }
}
