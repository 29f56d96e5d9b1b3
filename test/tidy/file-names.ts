/** How often a file's name is used. */
import { posix } from "node:path";

/** The names that too many files have, one line each; `common`: paths that do not count. */
export function findCommonNames(
  paths: readonly string[],
  most: number,
  common: readonly RegExp[],
): string[] {
  const counted = paths.filter((path) => !common.some((pattern) => pattern.test(path)));
  return [...Map.groupBy(counted, (path) => posix.basename(path))]
    .filter(([, files]) => files.length > most)
    .map(
      ([name, files]) =>
        `${files.length} files are named ${name}, ${most} at most: ${files.join(", ")}`,
    );
}
