/** For this repository's own tests. Promises nothing. */
export { EXIT } from "./cli/shared/exit.ts";
export { BOUNDS } from "./model/bounds.ts";
export { CODES, REASONS } from "./model/errors.ts";
