/** For this repository's own tests. Promises nothing. */
export { CODES, REASONS } from "./model/errors.ts";
export { LIMITS } from "./model/limits.ts";
