/**
 * How much of what is repeated at random a test run plays: some of it in `pnpm test`, and all of it
 * with PAWL_TESTS=full, as CI does for the files that `.ci/run` names.
 */
export function scaled(full: number, some: number): number {
  return process.env.PAWL_TESTS === "full" ? full : some;
}
