// Section O of docs/replay-machine.md.
import { StepKind } from "@pawl/proto";
import { Cancelled, NonDeterminismError } from "../errors.ts";
import type { MemoRecord } from "./memo.ts";
import type { Pending } from "./pending.ts";
import type { Run } from "./run.ts";
import type { Scope, Uses } from "./scope.ts";

function ignore(): void {
  // The promise belongs to user code; that nobody listens to it must not end the process.
}

/**
 * Something durable that user code asked for and awaits: a step, a sleep, a
 * signal, a child run. Its promise settles only through the run's deliveries;
 * once the run has left this worker it never settles.
 */
export abstract class Operation implements Pending {
  /** The number of the latest live event that it has sent, in its latest attempt. */
  deltas = 0;
  readonly run: Run;
  readonly scope: Scope;
  readonly key: string;
  readonly name: string;
  readonly kind: StepKind;
  readonly promise: Promise<unknown>;
  /** Why it is to stop, once it is. */
  protected aborted: string | undefined;
  #resolve: (value: unknown) => void = ignore;
  #reject: (error: unknown) => void = ignore;
  readonly #uses: Uses | undefined;
  #recorded = false;
  #detached = false;
  #over = false;

  constructor(run: Run, scope: Scope, key: string, name: string, kind: StepKind) {
    this.run = run;
    this.scope = scope;
    this.key = key;
    this.name = name;
    this.kind = kind;
    this.promise = new Promise((resolve, reject) => {
      this.#resolve = resolve;
      this.#reject = reject;
    });
    this.promise.catch(ignore);
    this.#uses = scope.enter(key);
  }

  /** Digests to compare with the recorded ones; empty where there are none. */
  get inputDigest(): string {
    return "";
  }
  get definitionDigest(): string {
    return "";
  }

  /** Looks into the memo; replays, or lets the run begin it. */
  open(): Promise<unknown> {
    const { run } = this;
    run.operations.add(this);
    const record = run.memo.take(this.key);
    if (record === undefined) {
      run.arrive(this);
    } else if (this.#conflicts(record)) {
      void run.end(this.#nonDeterminism(record));
    } else {
      this.#recorded = true;
      run.deliveries.pushRecorded(record.seq, () => this.replay(record));
    }
    return this.promise;
  }

  #conflicts(record: MemoRecord): boolean {
    const differ = (a: string, b: string) => a !== "" && b !== "" && a !== b;
    return (
      record.kind !== this.kind ||
      differ(record.inputDigest, this.inputDigest) ||
      differ(record.definitionDigest, this.definitionDigest)
    );
  }

  #nonDeterminism(record: MemoRecord): NonDeterminismError {
    const side = (kind: StepKind, input: string, definition: string) =>
      [
        StepKind[kind]?.toLowerCase() ?? "step",
        input === "" ? "" : `input ${input.slice(0, 12)}`,
        definition === "" ? "" : `definition ${definition.slice(0, 12)}`,
      ]
        .filter((part) => part !== "")
        .join(", ");
    return new NonDeterminismError({
      stepKey: this.key,
      recorded: side(record.kind, record.inputDigest, record.definitionDigest),
      attempted: side(this.kind, this.inputDigest, this.definitionDigest),
      likelyCause:
        record.inputDigest === this.inputDigest
          ? "the code was changed while this run was under way"
          : "the step's arguments are computed from something that is not recorded (time, random numbers, outside state), or the code was changed",
    });
  }

  abstract begin(): void;

  /** Hands out what is recorded. */
  protected abstract replay(record: MemoRecord): void | Promise<void>;

  abort(reason: string, _patienceMs?: number): void {
    this.aborted ??= reason;
  }

  get isStep(): boolean {
    return false;
  }

  abandon(): void {
    // Only running steps have something to end.
  }

  abstract clear(): void;

  resolved(_record: MemoRecord): void {
    // Only waits listen.
  }

  askAgain(): void {
    // Only waits ask.
  }

  detach(): void {
    if (this.#detached || this.#over) return;
    this.#detached = true;
    this.clear();
    this.#leave();
  }

  get detached(): boolean {
    return this.#detached;
  }

  get isRunning(): boolean {
    return false;
  }

  get isRepeatable(): boolean {
    return true;
  }

  /** Its result is in the journal: it is handed out whatever happens around it. */
  get isRecorded(): boolean {
    return this.#recorded;
  }

  /** User code has been given its result. */
  get isOver(): boolean {
    return this.#over;
  }

  get isAborted(): boolean {
    return this.aborted !== undefined;
  }

  #leave(): void {
    this.#over = true;
    this.scope.leave(this.#uses);
    this.run.operations.delete(this);
  }

  protected resolve(value: unknown): void {
    if (this.#over || this.run.left) return;
    this.#leave();
    this.#resolve(value);
  }

  protected reject(error: unknown): void {
    if (this.#over || this.run.left) return;
    this.#leave();
    this.#reject(error);
  }

  /** The platform refuses it: that is for user code to know, at the call that asked. */
  protected refuse(error: unknown): void {
    if (error instanceof NonDeterminismError) void this.run.end(error);
    else this.run.deliver(this.run.deliveries.lastSeq, () => this.reject(error));
  }

  rejectCancelled(reason: string): void {
    this.run.deliveries.pushNext(() => {
      this.run.cancelWasDelivered();
      this.reject(new Cancelled(reason));
    });
  }
}
