/**
 * How much of what is repeated at random a test run plays: some of it in `pnpm test`, and all of it
 * with PAWL_TESTS=full, as CI does for the files that `.ci/run` names.
 */
export function scaled<T>(full: T, some: T): T {
  return process.env.PAWL_TESTS === "full" ? full : some;
}
