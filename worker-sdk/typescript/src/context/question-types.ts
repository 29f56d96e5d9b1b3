/** Questions to people, their answers, and calls from outside, as user code sees them. */
import type { StandardSchemaV1 } from "@standard-schema/spec";
import type { Duration } from "../duration.ts";
import type { JsonSchema } from "../schema.ts";

/** What all questions have. `D`: what stands for an answer that did not come in time. */
export interface QuestionOptions<D, S extends boolean> {
  /**
   * Names this question apart from its text, so that the text can change while it is open.
   * Default: the text, and which use of it this is.
   */
  readonly key?: string | number;
  /** Who may answer, by name or role. Default: anybody. */
  readonly assignees?: string | readonly string[];
  /** Whether somebody may decline to answer; the result is undefined then. Default: false. */
  readonly skippable?: S;
  /** How long to wait. Default: for ever. */
  readonly timeout?: Duration;
  /** What to return at the timeout; without it WaitTimeoutError is thrown. */
  readonly default?: D;
  /** When to remind, counted from the asking. At most 20. */
  readonly reminders?: readonly Duration[];
}

/** An answer in words; "" is one. */
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

/** What can be chosen: the answer itself, or the answer and what people read. */
export type QuestionOption<V extends string = string> =
  | V
  | { readonly value: V; readonly label?: string };

interface Options<V extends string, C extends boolean> {
  /** At most 200. */
  readonly options: readonly QuestionOption<V>[];
  /** Other answers than the options are possible too. Default: false. */
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

/** Any of the options, also none: [] is an answer. */
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
   * JSON Schema, or a Standard Schema (zod, valibot, arktype …) that can be turned into it.
   * The server checks answers against it, and what is typed is what the schema turns out.
   */
  readonly schema: F;
}

type Skipped<S extends boolean> = true extends S ? undefined : never;
type Chosen<V extends string, C extends boolean> = true extends C ? string : V;

/** One person's yes or no. */
export interface Vote {
  /** Who; empty where nobody said. */
  readonly actor: string;
  readonly approved: boolean;
  /** Why; may be empty. */
  readonly comment: string;
  readonly at: Date;
}

/** How an approval ended. */
export interface Approval {
  readonly approved: boolean;
  readonly decision: "approved" | "rejected";
  /** All that were given, oldest first; the last one decided. */
  readonly votes: readonly Vote[];
  /** Who decided. */
  readonly actor: string;
  readonly comment: string;
}

/** How `ctx.waitForUser` can be called: the answer's type follows the question's. */
export interface AskUser {
  /** Asks for a yes or a no, with who said so and why. */
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
  /** Asks for a form to be filled in; throws InvalidValueError where the schema refuses it. */
  <F extends StandardSchemaV1, const D = never, S extends boolean = false>(
    question: string,
    options: FormQuestion<F, D, S>,
  ): Promise<StandardSchemaV1.InferOutput<F> | D | Skipped<S>>;
  /** The same with JSON Schema, which says nothing to the compiler. */
  (question: string, options: FormQuestion<JsonSchema, unknown, boolean>): Promise<unknown>;
  // The last one is what the compiler compares with where none fits: the plainest.
  /**
   * Asks people and waits for the answer, for as long as it takes. The question shows in
   * `pawl waits` and `client.waits()`; the first answer decides.
   *
   * Throws WaitTimeoutError at a `timeout` without `default`, WaitCancelledError when somebody
   * cancels the question.
   */
  <const D = never, S extends boolean = false>(
    question: string,
    options?: TextQuestion<D, S>,
  ): Promise<string | D | Skipped<S>>;
}

/** One round of an approval: these people, that many of them. */
export interface ApprovalLevel {
  /** Shown, and what the round is called in keys. Default: the approvers, and in keys its place. */
  readonly name?: string;
  /** Who may approve, by name or role. */
  readonly approvers: string | readonly string[];
  /** How many of them must. Default: 1. */
  readonly needed?: number;
}

interface ApprovalCommon {
  /** Names this approval apart from its question. Default: the question. */
  readonly key?: string | number;
  /** How long each round may take. Default: for ever. */
  readonly timeout?: Duration;
  /** What a round that was not decided in time counts as; without it WaitTimeoutError is thrown. */
  readonly default?: "approved" | "rejected";
  /** When to remind, counted from the beginning of each round. */
  readonly reminders?: readonly Duration[];
}

/** One round: `approvers`, and how many of them are `needed`. Or several, one after the other. */
export type ApprovalOptions = ApprovalCommon &
  (
    | (ApprovalLevel & { readonly chain?: undefined })
    | { readonly chain: readonly ApprovalLevel[]; readonly approvers?: undefined }
  );

/** How all rounds of `ctx.approval` ended. */
export interface ApprovalOutcome {
  readonly approved: boolean;
  readonly decision: "approved" | "rejected";
  /** All votes of all rounds, oldest first, each with the name of its round. */
  readonly votes: readonly (Vote & { readonly level: string })[];
  /** The round that decided; empty where nobody had to be asked. */
  readonly level: string;
  /** It was decided by `default`, since nobody did in time. */
  readonly timedOut: boolean;
}

export interface CallbackOptions<D> {
  /** Tells several callbacks of one name apart by what they are about. */
  readonly key?: string | number;
  /** How long to wait, from now. Default: for ever. */
  readonly timeout?: Duration;
  /** What to return at the timeout; without it WaitTimeoutError is thrown. */
  readonly default?: D;
}

/** A URL that an outside process calls when it is done. */
export interface Callback<T> {
  /** Takes one POST; the same after a crash. Anyone who has it can answer: it needs no key. */
  readonly url: string;
  /** The URL's last part. */
  readonly token: string;
  /** For `client.answer`, to resolve it by hand. */
  readonly waitId: string;
  /** What was posted: decoded JSON, else bytes. Waits without holding a worker. */
  readonly result: Promise<T>;
}
