/** For this repository's own tests. Promises nothing. */
export { EXIT } from "./cli/shared/exit.ts";
export { CODES, REASONS } from "./model/errors.ts";
export { LIMITS } from "./model/limits.ts";
