/**
 * `ctx.approval`: rounds of questions, one after the other. Each round is one
 * question to its approvers, of whom that many must agree; the server counts. A
 * rejection ends the round, and with it the whole.
 */

import { UsageError } from "../errors.ts";
import { refuseUnknown } from "../lib/options.ts";
import type { Scope } from "../run/scope.ts";
import type { Place } from "./place.ts";
import type {
  Approval,
  ApprovalOptions,
  ApprovalOutcome,
  ApprovalRound,
  Vote,
} from "./question-types.ts";
import { askIn, listOf, questionName, questionText } from "./questions.ts";

/** A round that is only needed from some amount on. */
export interface AmountRound extends ApprovalRound {
  /** The amount from which on this round is needed. Default: always. */
  readonly from?: number;
}

/**
 * The rounds that an amount needs: `chainByAmount(5_000, [{ approvers: "manager" },
 * { from: 1_000, approvers: "director" }, { from: 10_000, approvers: "vp" }])` asks the
 * manager and then the director.
 */
export function chainByAmount(amount: number, rounds: readonly AmountRound[]): ApprovalRound[] {
  if (!Number.isFinite(amount))
    throw new UsageError(`chainByAmount got ${String(amount)}, which is not an amount`);
  return rounds.filter(({ from }) => from === undefined || amount >= from);
}

const known = {
  key: true,
  timeout: true,
  default: true,
  reminders: true,
  name: true,
  approvers: true,
  needed: true,
  chain: true,
} satisfies Record<keyof ApprovalOptions | keyof ApprovalRound, true>;

function roundsOf(options: ApprovalOptions): readonly ApprovalRound[] {
  refuseUnknown(options, known, "an option of ctx.approval");
  if (options.chain !== undefined) return options.chain;
  if (listOf(options.approvers).length === 0)
    throw new UsageError("ctx.approval needs approvers, or a chain of rounds with approvers each");
  return [options];
}

/** What people read of a round. */
function nameOf({ name, approvers }: ApprovalRound): string {
  return name ?? listOf(approvers).join(", ");
}

/** In keys: approvers may change while people decide, so a round is named by its place among those without a name. */
const roundName = "round";

type Decided = {
  readonly approved: boolean;
  readonly votes: readonly Vote[];
  readonly late: boolean;
};

async function askRound(
  context: Place,
  scope: Scope,
  prompt: string,
  asked: ApprovalRound,
  options: ApprovalOptions,
): Promise<Decided> {
  const { timeout, reminders, default: atTimeout } = options;
  const late: Decided = { approved: atTimeout === "approved", votes: [], late: true };
  const answer = await askIn(context, scope, questionName(asked.name ?? roundName), prompt, {
    type: "approval",
    assignees: asked.approvers,
    needed: asked.needed ?? 1,
    ...(timeout === undefined ? {} : { timeout }),
    ...(atTimeout === undefined ? {} : { default: late }),
    ...(reminders === undefined ? {} : { reminders }),
  });
  if (answer === late) return late;
  // Without `skippable`, an approval is what comes of this question.
  const { approved, votes } = answer as Approval;
  return { approved, votes, late: false };
}

/** `ctx.approval`. */
export async function askApproval(
  context: Place,
  question: string,
  options: ApprovalOptions,
): Promise<ApprovalOutcome> {
  const prompt = questionText("ctx.approval", question);
  const rounds = roundsOf(options);
  const key = options.key === undefined ? undefined : String(options.key);
  const here = context.scopeHere;
  const name = key === undefined ? questionName(prompt) : "approval";
  const scope = here.child(here.claimSegment("approval:", name, key));
  const uses = here.enter(scope.prefix);
  try {
    const votes: (Vote & { readonly round: string })[] = [];
    let last = { round: "", timedOut: false };
    for (const asked of rounds) {
      const decided = await askRound(context, scope, prompt, asked, options);
      last = { round: nameOf(asked), timedOut: decided.late };
      for (const vote of decided.votes) votes.push({ ...vote, round: last.round });
      if (!decided.approved) return { approved: false, decision: "rejected", votes, ...last };
    }
    return { approved: true, decision: "approved", votes, ...last };
  } finally {
    here.leave(uses);
  }
}
