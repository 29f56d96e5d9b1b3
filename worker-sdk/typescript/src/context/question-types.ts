/** Questions to people, their answers, and calls from outside, as user code sees them. */
import type { StandardSchemaV1 } from "@standard-schema/spec";
import type { Duration } from "../duration.ts";
import type { JsonSchema } from "../schema.ts";

/** The options of all questions. `D` is the type of `default`. */
export interface QuestionOptions<D, S extends boolean> {
  /**
   * Identifies this question instead of its text. Default: the text and its occurrence. Set it if the text may
   * change while the question is open; otherwise a changed text is a new question.
   */
  readonly key?: string | number;
  /** Who may answer, by name or role; at most 100. Default: anyone. */
  readonly assignees?: string | readonly string[];
  /** Whether people may decline to answer; the result is then undefined. Default: false. */
  readonly skippable?: S;
  /** How long to wait, kept by the server. Default: forever, because waiting costs nothing. */
  readonly timeout?: Duration;
  /** The result at the timeout. Default: none, and WaitTimeoutError is thrown. */
  readonly default?: D;
  /** When to record reminders, counted from when the question is asked. At most 20. Default: none. */
  readonly reminders?: readonly Duration[];
}

/** A free-text answer; "" is allowed. */
export interface TextQuestion<D = never, S extends boolean = false> extends QuestionOptions<D, S> {
  readonly type?: "text";
}

/** Yes or no, with a comment. */
export interface ApprovalQuestion<D = never, S extends boolean = false>
  extends QuestionOptions<D, S> {
  readonly type: "approval";
  /** How many different people must approve; one rejection ends it. Default: 1. */
  readonly needed?: number;
}

/** One option: the answer itself, or the answer and the text that people see. */
export type QuestionOption<V extends string = string> =
  | V
  | { readonly value: V; readonly label?: string };

interface Options<V extends string, C extends boolean> {
  /** At most 200. */
  readonly options: readonly QuestionOption<V>[];
  /** Whether answers other than the options are accepted. Default: false. */
  readonly allowCustom?: C;
}

/** One of the options. */
export interface ChoiceQuestion<
  V extends string,
  C extends boolean = false,
  D = never,
  S extends boolean = false,
> extends QuestionOptions<D, S>,
    Options<V, C> {
  readonly type: "choice";
}

/** Any number of the options; [] is allowed. */
export interface MultichoiceQuestion<
  V extends string,
  C extends boolean = false,
  D = never,
  S extends boolean = false,
> extends QuestionOptions<D, S>,
    Options<V, C> {
  readonly type: "multichoice";
}

/** Fields to fill in. */
export interface FormQuestion<F, D = never, S extends boolean = false>
  extends QuestionOptions<D, S> {
  readonly type: "form";
  /**
   * A JSON Schema, or a Standard Schema (zod, valibot, arktype …) that can be converted to one. The server
   * validates answers against it, and the result has the output type of the schema.
   */
  readonly schema: F;
}

type Skipped<S extends boolean> = true extends S ? undefined : never;
type Chosen<V extends string, C extends boolean> = true extends C ? string : V;

/** One person's yes or no. */
export interface Vote {
  /** Who voted; empty if unknown. */
  readonly actor: string;
  readonly approved: boolean;
  /** The reason; may be empty. */
  readonly comment: string;
  readonly at: Date;
}

/** How an approval ended. */
export interface Approval {
  readonly approved: boolean;
  readonly decision: "approved" | "rejected";
  /** All votes, oldest first; the last one decided. */
  readonly votes: readonly Vote[];
  /** Who decided. */
  readonly actor: string;
  readonly comment: string;
}

/** How `ctx.waitForUser` can be called: the answer's type follows the question's. */
export interface AskUser {
  /** Asks for an approval; the result says who decided and why. */
  <const D = never, S extends boolean = false>(
    question: string,
    options: ApprovalQuestion<D, S>,
  ): Promise<Approval | D | Skipped<S>>;
  /** Asks for one of the options. */
  <const V extends string, C extends boolean = false, const D = never, S extends boolean = false>(
    question: string,
    options: ChoiceQuestion<V, C, D, S>,
  ): Promise<Chosen<V, C> | D | Skipped<S>>;
  /** Asks for any of the options. */
  <const V extends string, C extends boolean = false, const D = never, S extends boolean = false>(
    question: string,
    options: MultichoiceQuestion<V, C, D, S>,
  ): Promise<Chosen<V, C>[] | D | Skipped<S>>;
  /** Asks people to fill in a form. @throws InvalidValueError if the schema rejects the answer */
  <F extends StandardSchemaV1, const D = never, S extends boolean = false>(
    question: string,
    options: FormQuestion<F, D, S>,
  ): Promise<StandardSchemaV1.InferOutput<F> | D | Skipped<S>>;
  /** The same with a JSON Schema, which has no static type. */
  (question: string, options: FormQuestion<JsonSchema, unknown, boolean>): Promise<unknown>;
  // The last one is what the compiler compares with where none fits: the plainest.
  /**
   * Asks people a question and waits for the answer, however long it takes. `pawl waits` and `client.waits()`
   * list the question; the first answer decides.
   *
   * @throws WaitTimeoutError at a `timeout` without `default`
   * @throws WaitCancelledError if someone cancels the question
   */
  <const D = never, S extends boolean = false>(
    question: string,
    options?: TextQuestion<D, S>,
  ): Promise<string | D | Skipped<S>>;
}

/** One round of an approval: a group of people, and how many of them must approve. */
export interface ApprovalRound {
  /** The name of the round, shown to people and used in step keys. Default: the approvers; in keys its position. */
  readonly name?: string;
  /** Who may approve, by name or role. */
  readonly approvers: string | readonly string[];
  /** How many of the approvers must approve. Default: 1. */
  readonly needed?: number;
}

interface ApprovalCommon {
  /** Identifies this approval instead of its question. Default: the question. */
  readonly key?: string | number;
  /** How long each round may take. Default: forever. */
  readonly timeout?: Duration;
  /** How a round counts that was not decided in time. Default: none, and WaitTimeoutError is thrown. */
  readonly default?: "approved" | "rejected";
  /** When to record reminders, counted from the start of each round. Default: none. */
  readonly reminders?: readonly Duration[];
}

/** One round with `approvers` and `needed`, or a `chain` of several rounds. */
export type ApprovalOptions = ApprovalCommon &
  (
    | (ApprovalRound & { readonly chain?: undefined })
    | { readonly chain: readonly ApprovalRound[]; readonly approvers?: undefined }
  );

/** How all rounds of `ctx.approval` ended. */
export interface ApprovalOutcome {
  readonly approved: boolean;
  readonly decision: "approved" | "rejected";
  /** All votes of all rounds, oldest first, each with the name of its round. */
  readonly votes: readonly (Vote & { readonly round: string })[];
  /** The round that decided; empty if no round was needed. */
  readonly round: string;
  /** Whether `default` decided, because the people did not in time. */
  readonly timedOut: boolean;
}

export interface CallbackOptions<D> {
  /** Distinguishes several callbacks with the same name. Default: their order. */
  readonly key?: string | number;
  /** How long to wait, from now. Default: forever. */
  readonly timeout?: Duration;
  /** The result at the timeout. Default: none, and WaitTimeoutError is thrown. */
  readonly default?: D;
}

/** A URL that an external process calls when it is done. */
export interface Callback<T> {
  /** Accepts one POST; the same after a crash. Anyone who has it can answer, so keep it secret. */
  readonly url: string;
  /** The last part of the URL. */
  readonly token: string;
  /** The wait id for `client.answer`, to resolve the callback manually. */
  readonly waitId: string;
  /** Waits for the body that is posted, without holding a worker: decoded JSON, otherwise bytes. */
  result(): Promise<T>;
}
