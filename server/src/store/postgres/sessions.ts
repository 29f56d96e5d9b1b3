/** How the connections to PostgreSQL are set up. */

/** An answer that takes longer than this, in ms, means that the server is dead or stuck. */
export const ANSWER_MS = 10_000;
export const LIST_ANSWER_MS = 30_000;

/**
 * Hot statements have one plan whatever the statistics say: nested loops over index look-ups,
 * planned once. Measured elsewhere: the same statement made 1,000 steps/s with a plan for an empty
 * table, and 9,500 with this one.
 */
export const HOT_SESSION = {
  plan_cache_mode: "force_generic_plan",
  enable_seqscan: "off",
  enable_hashjoin: "off",
  enable_mergejoin: "off",
  // Else a join of few rows by key may be planned to read all rows of the organization instead.
  enable_material: "off",
  random_page_cost: 1,
  jit: "off",
  synchronous_commit: "on",
  statement_timeout: ANSWER_MS - 2_000,
  lock_timeout: ANSWER_MS / 2,
  idle_in_transaction_session_timeout: ANSWER_MS,
} as const;

export const LIST_SESSION = {
  jit: "off",
  statement_timeout: LIST_ANSWER_MS - 2_000,
  lock_timeout: ANSWER_MS / 2,
  idle_in_transaction_session_timeout: LIST_ANSWER_MS,
} as const;
